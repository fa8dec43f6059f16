"""TLS interception and HTTP/2: the agent's leg over ALPN, an upstream that speaks HTTP/2 itself."""

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.ingest.http.conftest import Captured, Front

TOTAL = 3 << 20


def write_certificate(directory: Path, name: str = "localhost") -> tuple[Path, Path]:
    """A self-signed certificate for a name: (certificate, key)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "server.pem", directory / "server.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return paths


@dataclass
class Http2Upstream:
    """A small HTTP/2 server over TLS: /big is TOTAL bytes, /trailers ends with trailers, others echo the path."""

    port: int = 0
    certificate: str = ""
    protocols: list[str | None] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.protocols.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        waiting: dict[int, bytes] = {}
        try:
            writer.write(connection.data_to_send())
            while data := await reader.read(65536):
                for event in connection.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        path = dict(event.headers)[":path"]
                        self.answer(connection, event.stream_id, path, waiting)
                    elif isinstance(event, h2.events.DataReceived):
                        connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.pump(connection, waiting)
                writer.write(connection.data_to_send())
                await writer.drain()
        except (ConnectionError, h2.exceptions.ProtocolError):
            pass
        finally:
            writer.close()

    def answer(self, connection: h2.connection.H2Connection, id: int, path: str, waiting: dict[int, bytes]) -> None:
        if path == "/trailers":
            connection.send_headers(id, [(":status", "103"), ("link", "</a>")])
            connection.send_headers(id, [(":status", "200")])
            connection.send_data(id, b"body")
            connection.send_headers(id, [("x-sum", "42")], end_stream=True)
            return
        connection.send_headers(id, [(":status", "200"), ("content-type", "text/plain")])
        waiting[id] = bytes(TOTAL) if path == "/big" else path.encode()

    def pump(self, connection: h2.connection.H2Connection, waiting: dict[int, bytes]) -> None:
        for id, data in list(waiting.items()):
            while data and (room := min(connection.local_flow_control_window(id), connection.max_outbound_frame_size)):
                connection.send_data(id, data[:room])
                data = data[room:]
            waiting[id] = data
            if not data:
                connection.end_stream(id)
                del waiting[id]


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Http2Upstream]:
    running = Http2Upstream()
    certificate, key = write_certificate(tmp_path)
    running.certificate = str(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(running.serve, "127.0.0.1", 0, ssl=context))
    running.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def stop() -> None:
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    yield running
    asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def secure(captured: Captured, upstream: Http2Upstream) -> Front:
    checks = {"host": "localhost", "tls": "verify", "ca_file": upstream.certificate}
    return captured.front(upstream.port, upstream=checks)


def trusting(captured: Captured) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=captured.ca)


def test_http2_on_both_legs_through_an_intercepted_tunnel(
    captured: Captured, secure: Front, upstream: Http2Upstream
) -> None:
    base = f"https://localhost:{upstream.port}"
    with httpx.Client(proxy=captured.proxy_url, verify=trusting(captured), http2=True) as client:
        answers = [client.get(f"{base}/one"), client.get(f"{base}/big"), client.post(f"{base}/two", content=b"x" * 10)]
        assert [answer.http_version for answer in answers] == ["HTTP/2"] * 3
        assert (answers[0].text, len(answers[1].content), answers[2].text) == ("/one", TOTAL, "/two")
    assert upstream.protocols == ["h2"]
    trail = secure.trail()
    requests = trail.of("action.requested")
    assert requests[0].statement == f"GET https://localhost:{upstream.port}/one"
    assert requests[0].attributes["http.version"] == "HTTP/2.0 TLSv1.3"
    assert [event.payload_bytes for event in trail.of("action.completed")] == [4, TOTAL, 4]


def test_http2_trailers_and_hints(captured: Captured, secure: Front, upstream: Http2Upstream) -> None:
    url = f"https://localhost:{upstream.port}/trailers"
    command = ["curl", "-sS", "-i", "--http2", "-x", captured.proxy_url, "--cacert", captured.ca, url]
    output = subprocess.run(command, capture_output=True, check=True, timeout=20).stdout
    assert b"HTTP/2 103" in output
    assert b"x-sum: 42" in output
    (outcome,) = secure.trail().of("action.completed")
    assert outcome.attributes["trailer.x-sum"] == "42"


def test_a_concurrent_stream_is_not_held_by_another(captured: Captured, secure: Front, upstream: Http2Upstream) -> None:
    async def ask() -> list[int]:
        proxy, context = captured.proxy_url, trusting(captured)
        async with httpx.AsyncClient(proxy=proxy, verify=context, http2=True) as client:
            urls = [f"https://localhost:{upstream.port}/{name}" for name in ("big", *range(20), "big")]
            await client.get(f"https://localhost:{upstream.port}/first")  # from here on it knows the protocol
            return [len(answer.content) for answer in await asyncio.gather(*map(client.get, urls))]

    sizes = asyncio.run(ask())
    assert (sizes[0], sizes[-1]) == (TOTAL, TOTAL)
    assert upstream.protocols == ["h2"]
    assert len(sizes) == 22


def test_an_http1_agent_meets_an_upstream_without_http1(
    captured: Captured, secure: Front, upstream: Http2Upstream
) -> None:
    with httpx.Client(proxy=captured.proxy_url, verify=trusting(captured)) as client:
        assert client.get(f"https://localhost:{upstream.port}/x").status_code == 502


def test_an_untrusted_upstream_is_refused(captured: Captured, upstream: Http2Upstream) -> None:
    front = captured.front(upstream.port, upstream={"host": "localhost", "tls": "verify"})
    with httpx.Client(base_url=front.url, headers=captured.bearer) as client:
        assert client.get("/x").json()["code"] == "upstream_failed"


def test_openssl_sees_our_authority(captured: Captured, secure: Front, upstream: Http2Upstream) -> None:
    port = captured.proxy.ports["http_proxy"]
    login = ["-proxy_user", captured.login.id, "-proxy_pass", "env:SECRET"]
    command = ["openssl", "s_client", "-proxy", f"127.0.0.1:{port}", *login, "-connect", f"localhost:{upstream.port}"]
    environment = {"SECRET": captured.login.secret, "PATH": "/usr/bin:/bin"}
    output = subprocess.run(
        [*command, "-CAfile", captured.ca, "-servername", "localhost", "-verify_return_error", "-alpn", "h2"],
        input=b"",
        capture_output=True,
        timeout=20,
        env=environment,
    ).stdout
    assert b"Verify return code: 0 (ok)" in output
    assert b"CN = Custody interception CA" in output.replace(b"CN=", b"CN = ")
    assert b"ALPN protocol: h2" in output


def test_the_authoritys_key_is_private(captured: Captured) -> None:
    path = captured.home.ca / "custody-ca.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert not (Path.home() / ".mitmproxy").exists()


def test_an_agent_that_does_not_trust_us(captured: Captured, secure: Front, upstream: Http2Upstream) -> None:
    with httpx.Client(proxy=captured.proxy_url) as client, pytest.raises(httpx.ConnectError):
        client.get(f"https://localhost:{upstream.port}/x")
    assert secure.trail().events[-1].status == "tls_failed"


def test_another_host_within_a_tunnel_is_refused(captured: Captured, secure: Front, upstream: Http2Upstream) -> None:
    with httpx.Client(proxy=captured.proxy_url, verify=trusting(captured)) as client:
        answer = client.get(f"https://localhost:{upstream.port}/x", headers={"Host": "other.test"})
    assert answer.status_code == 403
