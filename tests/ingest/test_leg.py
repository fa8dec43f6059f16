"""Legs over real sockets: reading before and after `attach`, back-pressure, TLS, half-close."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ingest.leg import Leg, certificate_hash
from tests.support.postgres import make_certificate


class Sink:
    """Collects what a leg says."""

    def __init__(self) -> None:
        self.data = b""
        self.said: list[str] = []

    def leg_received(self, leg: Leg, data: bytes) -> None:
        self.data += data

    def leg_ended(self, leg: Leg) -> None:
        self.said.append("ended")

    def leg_lost(self, leg: Leg) -> None:
        self.said.append("lost")

    def leg_congested(self, leg: Leg) -> None:
        self.said.append("congested")

    def leg_drained(self, leg: Leg) -> None:
        self.said.append("drained")


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Leg, Leg]]:
    """Two legs that talk to each other."""
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[Leg] = loop.create_future()
    server = await loop.create_server(lambda: Leg(accepted.set_result), "127.0.0.1", 0)
    _, client = await loop.create_connection(Leg, *server.sockets[0].getsockname())
    served = await accepted
    try:
        yield client, served
    finally:
        for leg in (client, served):
            leg.abort()
            await asyncio.wait_for(leg.lost.wait(), 5)
        server.close()
        await server.wait_closed()


async def test_bytes_before_attach_are_not_lost() -> None:
    async with connected() as (client, served):
        client.write(b"start")
        assert await served.read() == b"start"
        client.write(b"-more")
        await asyncio.sleep(0.05)
        sink = Sink()
        served.attach(sink, b"unread")
        assert sink.data == b"unread-more"
        client.write_eof()
        await asyncio.sleep(0.05)
        assert sink.said == ["ended"] and not served.is_lost
        served.close()
        assert await asyncio.wait_for(client.read(), 5) == b""


async def test_a_slow_reader_congests_and_drains() -> None:
    async with connected() as (client, served):
        sink = Sink()
        client.attach(sink)
        served.pause()
        while not client.is_congested:
            client.write(bytes(1 << 16))
            await asyncio.sleep(0)
        other = Sink()
        served.attach(other)
        for _ in range(500):
            if "drained" in sink.said:
                break
            await asyncio.sleep(0.01)
        assert sink.said[:2] == ["congested", "drained"] and not client.is_congested
        client.abort()


async def test_a_lost_leg_swallows_writes() -> None:
    async with connected() as (client, served):
        served.abort()
        assert await asyncio.wait_for(client.read(), 5) == b""
        client.abort()
        await asyncio.wait_for(client.lost.wait(), 5)
        client.write(b"x")
        client.write_eof()
        client.pause()
        assert await client.read() == b""


async def test_tls_is_an_upgrade_of_the_same_leg(tmp_path: Path) -> None:
    certificate, key = make_certificate()
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    asking = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    async with connected() as (client, served):
        await asyncio.gather(
            client.start_tls(asking, server_side=False, server_name="127.0.0.1"),
            served.start_tls(serving, server_side=True),
        )
        client.write(b"secret")
        assert await served.read() == b"secret"
        assert served.is_tls and served.tls_name.startswith("TLSv1.3")
        assert client.tls_end_point() and served.tls_end_point() is None
        client.close()


def test_the_certificate_hash_is_that_of_rfc_5929() -> None:
    import hashlib

    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    certificate = x509.load_pem_x509_certificate(make_certificate()[0])
    assert certificate_hash(certificate) == hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()


async def test_start_tls_on_nothing_is_an_error() -> None:
    with pytest.raises(ConnectionError):
        await Leg().start_tls(ssl.create_default_context(), server_side=False)


async def test_who_is_sending_as_the_leg_ends_can_read_the_last_words() -> None:
    """A plain close would reset the connection, and what the peer had not read yet would be gone."""
    async with connected() as (client, served):
        served.attach(Sink())
        served.pause()
        for _ in range(40):
            client.write(bytes(1 << 14))
            await asyncio.sleep(0)
        served.write(b"last words")
        served.linger(10, 1 << 20)
        served.close()  # whoever owns it closes it as ever: it closes by itself
        client.write(b"more")
        assert await asyncio.wait_for(client.read(), 5) == b"last words"
        assert await asyncio.wait_for(client.read(), 5) == b""  # and not a reset
        assert not served.is_lost
        client.close()
        await asyncio.wait_for(served.lost.wait(), 5)


@pytest.mark.parametrize(("seconds", "max_bytes"), [(0.05, 1 << 20), (60, 1000)])
async def test_nobody_can_keep_a_leg_open_that_lingers(seconds: float, max_bytes: int) -> None:
    async with connected() as (client, served):
        served.attach(Sink())
        served.linger(seconds, max_bytes)
        client.write(bytes(2000))
        await asyncio.wait_for(served.lost.wait(), 5)


async def test_a_leg_whose_peer_has_gone_does_not_linger() -> None:
    async with connected() as (client, served):
        served.attach(Sink())
        client.write_eof()
        await asyncio.sleep(0.05)
        served.linger(60, 1000)
        await asyncio.wait_for(served.lost.wait(), 5)
