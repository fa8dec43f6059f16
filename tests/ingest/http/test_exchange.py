"""Bodies that are too big to hold: bounded memory, true digests, and a gate that stops them when the log is gone."""

import hashlib
import hmac
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ingest.http.exchange import Tally
from masking.tokens import DigestKey
from schemas.resources import Resource
from schemas.runtime import Home
from tests.ingest.http.conftest import Captured, Front
from tests.support.homes import connect_home
from tests.support.http_edges import PIECE, Edges
from tests.support.kafka import Kafka
from tests.support.proxies import Login, Proxy, issue_credential, read_trails, run_proxy, wait_for_trails

MIB = 1 << 20
MEMORY_MIB = 64
"""What a stream of any length may add to the proxy's memory."""


def resident(pid: int) -> int:
    """MiB of a process, at its highest since `forget_peak`."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def digest_of(captured: Captured, size: int) -> bytes:
    digest = DigestKey(captured.home.read_key("digest.key")).digest()
    for start in range(0, size, len(PIECE)):
        digest.update(PIECE[: min(len(PIECE), size - start)])
    return digest.digest()


def stream_both_ways(edge: Front, captured: Captured, size: int) -> None:
    pid = captured.proxy.process.pid
    with httpx.Client(base_url=edge.url, headers=captured.bearer, timeout=120) as client:
        client.get("/echo")
        forget_peak(pid)
        before = resident(pid)
        with client.stream("GET", f"/big?bytes={size}") as answer:
            received = sum(len(piece) for piece in answer.iter_raw())
        pieces = (PIECE[: min(len(PIECE), size - start)] for start in range(0, size, len(PIECE)))
        headers = {"Content-Length": str(size)}
        sent = client.post("/echo", content=pieces, headers=headers).json()["bytes"]
    assert (received, sent) == (size, size)
    assert resident(pid) - before < MEMORY_MIB
    trail = edge.trail()
    down = trail.of("action.completed")[1]
    whole = trail.of("data.sent")[-1]
    expected = digest_of(captured, size)
    assert (down.payload_bytes, down.payload_digest, down.is_truncated) == (size, expected, True)
    assert (whole.payload_bytes, whole.payload_digest) == (size, expected)
    progress = [int(event.attributes["stream.bytes"]) for event in trail.of("data.received")]
    assert progress == sorted(progress) and len(progress) >= size // MIB


def test_a_long_stream_takes_little_memory(edge: Front, captured: Captured) -> None:
    stream_both_ways(edge, captured, 64 * MIB)


@pytest.mark.soak
def test_a_gibibyte_takes_little_memory(edge: Front, captured: Captured) -> None:
    stream_both_ways(edge, captured, 1024 * MIB)


def test_a_slow_reader_holds_the_upstream_back(edge: Front, captured: Captured) -> None:
    pid = captured.proxy.process.pid
    head = (
        f"GET /big?bytes={256 * MIB} HTTP/1.1\r\nHost: x\r\nAuthorization: {captured.bearer['Authorization']}\r\n\r\n"
    )
    forget_peak(pid)
    before = resident(pid)
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.sendall(head.encode())
        time.sleep(1.5)
        assert resident(pid) - before < MEMORY_MIB
    (outcome,) = edge.trail().of("action.completed")
    assert outcome.status == "499"


def test_a_tally_keeps_the_beginning_and_digests_the_whole() -> None:
    class FakeSession:  # the fault-free part of a session: limits and a digest
        resource = Resource.model_validate(
            {
                "name": "x",
                "protocol": "http",
                "listen": 0,
                "upstream": {"host": "h", "port": 1},
                "limits": {"max_payload_bytes": 8},
            }
        )

        @staticmethod
        def new_digest() -> object:
            return hmac.new(b"k", b"", hashlib.sha256)

    tally = Tally(FakeSession())  # type: ignore[arg-type]
    tally.add(b"ab\nc")
    assert tally.take(b"\n") == b"ab\n"
    tally.add(b"defghij")
    assert tally.take() == b"cdefg"
    assert tally.take() == b""
    assert (tally.total, tally.is_truncated) == (11, True)
    assert tally.digest == hmac.digest(b"k", b"ab\ncdefghij", "sha256")


@pytest.fixture
def alone(bare_home: Home, own_kafka: Kafka) -> Iterator[tuple[Proxy, Login, Kafka]]:
    """A proxy with a broker of its own, to stop."""
    connect_home(bare_home, own_kafka, ports={"http_proxy": 0}, capture={"audit_timeout_s": 2})
    with run_proxy(bare_home, "ingest.http", "proxy-http") as proxy:
        yield proxy, issue_credential(bare_home, proxy.writer), own_kafka


def test_without_the_broker_nothing_passes_and_then_it_does_again(
    alone: tuple[Proxy, Login, Kafka], edges: Edges
) -> None:
    proxy, login, kafka = alone
    upstream = {"host": "127.0.0.1", "port": edges.port}
    strict = proxy.register("strict", "http", upstream)
    lenient = proxy.register("lenient", "http", upstream, record="best_effort")
    spooling = proxy.register("spooling", "http", upstream, on_audit_failure="spool")
    bearer = {"Authorization": f"Bearer {login.id}.{login.secret}"}

    def client(resource: Resource) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{resource.listen}", headers=bearer, timeout=20)

    with client(strict) as blocked, client(lenient) as free, client(spooling) as spooled:
        for each in (blocked, free, spooled):
            assert each.get("/echo").status_code == 200
        stream = blocked.stream("GET", f"/big?bytes={64 * MIB}")
        with stream as answer:
            pieces = answer.iter_raw()
            next(pieces)
            kafka.broker.kill()
            with pytest.raises(httpx.TransportError):  # cut off, never complete
                for _ in pieces:
                    pass
        seen = len(edges.seen)
        refused = blocked.post("/echo", content=b"write")
        assert refused.status_code == 503
        assert refused.json()["error"] == "the audit log does not answer; nothing was done"
        assert len(edges.seen) == seen  # the write never left
        assert free.get("/echo").status_code == 200
        assert spooled.post("/echo", content=b"kept").status_code == 200
        kafka.broker.start()
        deadline = time.monotonic() + 60
        while blocked.post("/echo", content=b"again").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.3)
    proxy.stop()
    for name in ("strict", "lenient", "spooling"):
        assert read_trails(proxy.home, name)
    (kept,) = read_trails(proxy.home, "spooling")
    assert kept.of("action.requested")[1].payload == b"kept"
    assert [event.attributes.get("durability") for event in kept.of("action.requested")] == [None, "spool"]


def test_only_a_complete_record_needs_the_outcome_on_record(alone: tuple[Proxy, Login, Kafka], edges: Edges) -> None:
    """The log goes away while both upstreams answer; their requests are durable."""
    proxy, login, kafka = alone
    upstream = {"host": "127.0.0.1", "port": edges.port}
    bearer = {"Authorization": f"Bearer {login.id}.{login.secret}"}
    ports = [proxy.register(record, "http", upstream, record=record).listen for record in ("request", "complete")]
    clients = [httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=bearer, timeout=20) for port in ports]
    assert kafka.broker.child is not None
    with clients[0] as request, clients[1] as complete:
        with request.stream("GET", "/late") as answered, complete.stream("GET", "/late") as withheld:
            streams = answered.iter_bytes(), withheld.iter_bytes()
            assert [next(each) for each in streams] == [b"first\n"] * 2
            os.kill(kafka.broker.child.pid, signal.SIGSTOP)
            try:
                httpx.get(f"http://127.0.0.1:{edges.port}/go")
                assert b"".join(streams[0]) == b"second\n"
                with pytest.raises(httpx.TransportError):  # its end mark never comes
                    b"".join(streams[1])
            finally:
                os.kill(kafka.broker.child.pid, signal.SIGCONT)
        wait_for_trails(proxy.home, "complete", 1)
    (trail,) = wait_for_trails(proxy.home, "request", 1)
    assert (trail.of("action.completed")[0].status, trail.events[-1].status) == ("200", "agent_closed")
    (trail,) = read_trails(proxy.home, "complete")
    assert trail.events[-1].status == "audit_unavailable"


def test_policy_says_how_much_of_an_answer_is_recorded(captured: Captured, edge: Front, edges: Edges) -> None:
    kept = {}
    for rule in ("brief", "first-bytes", "whole", ""):
        front = captured.front(edges.port, labels={"policy": rule} if rule else {})
        with httpx.Client(base_url=front.url, headers=captured.bearer, timeout=60) as client:
            assert client.post("/echo", content=b"asked").json()["bytes"] == 5
            assert len(client.get("/big?bytes=100000").content) == 100_000
        trail = front.trail()
        assert [event.payload for event in trail.of("action.requested")] == [b"asked", b""]
        small, big = trail.of("action.completed")
        streamed = [event for event in trail.of("data.received") if event.action_id == big.action_id]
        assert big.payload_bytes == 100_000 and big.payload_digest == digest_of(captured, 100_000)
        assert small.payload_bytes > 10 and len(small.payload_digest) == 32
        if rule:
            said = {event.attributes["policy.record"] for event in (small, big)}
            assert said == {{"brief": "statement", "first-bytes": "bytes=10", "whole": "full"}[rule]}
        kept[rule] = (
            (len(small.payload) == small.payload_bytes, small.is_truncated),
            (len(big.payload) + sum(len(event.payload) for event in streamed), big.is_truncated),
        )
        if rule == "first-bytes":
            assert len(small.payload) == 10
    assert kept == {
        "brief": ((False, True), (0, True)),
        "first-bytes": ((False, True), (10, True)),
        "whole": ((True, False), (100_000, False)),
        "": ((True, False), (65_536, True)),
    }
