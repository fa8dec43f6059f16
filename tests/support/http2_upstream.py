"""An upstream over TLS that speaks HTTP/2 only."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

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
def http2_upstream(tmp_path: Path) -> Iterator[Http2Upstream]:
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
        server.abort_clients()  # also those that are in their handshake, and those whose peer reads no more
        await asyncio.sleep(0)

    yield running
    asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()
