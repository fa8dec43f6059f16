"""Generic TCP: any bytes go through unchanged, are recorded in chunks, counted and digested."""

import hashlib
import hmac
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from schemas.runtime import Home
from tests.support.homes import connect_home
from tests.support.kafka import Kafka
from tests.support.proxies import Proxy, run_proxy, wait_for_trails


@contextmanager
def echo_server() -> Iterator[int]:
    """Echoes each connection until its end of file; its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def echo(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data)

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


@pytest.fixture(scope="module")
def echo() -> Iterator[int]:
    with echo_server() as port:
        yield port


@pytest.fixture
def proxy(home: Home) -> Iterator[Proxy]:
    with run_proxy(home) as running:
        yield running


def talk(port: int, *chunks: bytes) -> bytes:
    """Send chunks one after the other, each after the echo of the last; all that came back."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        for chunk in chunks:
            client.sendall(chunk)
            while len(got) < sum(map(len, chunks[: chunks.index(chunk) + 1])):
                got += client.recv(65536)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    return got


def test_bytes_pass_and_are_recorded(proxy: Proxy, echo: int) -> None:
    port = proxy.register("echo", "tcp", {"host": "127.0.0.1", "port": echo}, principal="batch-job").listen
    chunks = (b"\x00binary\xff", b"second")
    assert talk(port, *chunks) == b"".join(chunks)
    (trail,) = wait_for_trails(proxy.home, "echo", 1)
    assert trail.context.principal == "batch-job"
    sent = b"".join(event.payload for event in trail.of("data.sent"))
    received = b"".join(event.payload for event in trail.of("data.received"))
    assert sent == received == b"".join(chunks)
    closed = trail.events[-1]
    assert closed.status in ("agent_closed", "upstream_closed")
    assert closed.attributes["bytes.from_agent"] == closed.attributes["bytes.to_agent"] == str(len(sent))


def test_a_large_stream_is_bounded_in_the_record_and_digested_whole(proxy: Proxy, echo: int) -> None:
    port = proxy.register("bulk", "tcp", {"host": "127.0.0.1", "port": echo}, principal="batch-job").listen
    block = os.urandom(1 << 16)
    count = 128
    got = 0
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        sender = threading.Thread(target=lambda: [client.sendall(block) for _ in range(count)])
        sender.start()
        while got < count * len(block):
            got += len(client.recv(1 << 16))
        sender.join()
    (trail,) = wait_for_trails(proxy.home, "bulk", 1)
    sent = trail.of("data.sent")
    assert sum(event.payload_bytes for event in sent) == count * len(block)
    key = hmac.digest(proxy.home.read_key("digest.key"), b"custody digest v1", "sha256")
    assert sent[-1].payload_digest == hmac.digest(key, block * count, hashlib.sha256)
    assert max(event.payload_bytes for event in sent) <= 1 << 20
    assert sum(len(event.payload) for event in trail.events) < count * len(block)


def test_an_absent_upstream_closes_the_session_with_a_reason(proxy: Proxy) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = proxy.register(
            "absent", "tcp", {"host": "127.0.0.1", "port": unused.getsockname()[1]}, principal="batch-job"
        ).listen
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client, pytest.raises(ConnectionResetError):
            assert client.recv(1) == b""
            raise ConnectionResetError
    (trail,) = wait_for_trails(proxy.home, "absent", 1)
    assert trail.events[-1].status == "upstream_unreachable"


MASKED = """
@id("all") permit (principal, action, resource);
@id("masked") @mask permit (principal, action, resource in Label::"masked=yes");
"""


def test_a_mask_that_cannot_be_carried_out_refuses_the_connection(home: Home, kafka: Kafka, echo: int) -> None:
    policy = home.root / "policy.cedar"
    policy.write_text(MASKED)
    connect_home(home, kafka, policy_file=str(policy))
    with run_proxy(home) as proxy:
        upstream = {"host": "127.0.0.1", "port": echo}
        masked = proxy.register("opaque-masked", "tcp", upstream, principal="job", labels={"masked": "yes"}).listen
        with socket.create_connection(("127.0.0.1", masked), timeout=30) as client:
            client.sendall(b"are you there?")
            assert client.recv(1) == b""
        plain = proxy.register("opaque-plain", "tcp", upstream, principal="job", labels={"masked": "no"}).listen
        assert talk(plain, b"x") == b"x"
        (trail,) = wait_for_trails(home, "opaque-masked", 1)
        assert trail.events[-1].attributes["bytes.to_upstream"] == "0"
        (asked,), (decided,) = trail.of("action.requested"), trail.of("action.decided")
        assert asked.verdict == decided.verdict == "mask" and "masked" in decided.attributes["policy.ids"]
        (outcome,) = trail.of("action.completed")
        assert "would have to be masked, but what is said in this protocol is not understood" in outcome.error
        assert trail.events[-1].status == "refused"
