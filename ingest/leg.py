"""One leg of a relay: an asyncio transport with plain callbacks, TLS upgrade and back-pressure.

During start-up a leg is read with `await leg.read()`; afterwards `attach` hands its bytes to the relay as they come.
"""

import asyncio
import hashlib
import ssl
from collections.abc import Callable
from typing import Any, Protocol, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding


class LegUser(Protocol):
    """Who a leg's bytes go to."""

    def leg_received(self, leg: "Leg", data: bytes) -> None: ...
    def leg_ended(self, leg: "Leg") -> None:
        """The peer will send no more."""

    def leg_lost(self, leg: "Leg") -> None:
        """The connection is gone, both ways."""

    def leg_congested(self, leg: "Leg") -> None:
        """The transport has more to send than it should: stop reading what goes there."""

    def leg_drained(self, leg: "Leg") -> None:
        """The transport takes bytes again after `is_congested`."""


class _Rest:
    """Takes what a peer still sends to a leg that is ending, and throws it away."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes

    def leg_received(self, leg: "Leg", data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            leg.abort()

    def leg_ended(self, leg: "Leg") -> None:
        leg.end_linger()

    def leg_lost(self, leg: "Leg") -> None:
        leg.end_linger()

    def leg_congested(self, leg: "Leg") -> None:
        """Nothing is sent any more."""

    def leg_drained(self, leg: "Leg") -> None:
        """Nothing is sent any more."""


class Leg:
    """A TCP connection of the proxy, to an agent or to an upstream. Has the methods of an asyncio.Protocol."""

    def __init__(self, on_connect: Callable[["Leg"], None] | None = None) -> None:
        self._on_connect = on_connect
        self._transport: asyncio.Transport | None = None
        self._user: LegUser | None = None
        self._unread = bytearray()
        self._arrived = asyncio.Event()
        self._is_reading = True
        self._is_ended = False
        self._lingering: asyncio.TimerHandle | None = None
        self.is_congested = False
        self.is_lost = False
        self.lost = asyncio.Event()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        is_upgrade = self._transport is not None
        self._transport = cast(asyncio.Transport, transport)
        if not is_upgrade and self._on_connect is not None:
            self._on_connect(self)

    def data_received(self, data: bytes) -> None:
        if self._user is not None:
            self._user.leg_received(self, data)
            return
        self._unread += data
        self._arrived.set()
        if len(self._unread) > 1 << 16:  # nobody sends so much before being logged in
            self.pause()

    def eof_received(self) -> bool:
        self._is_ended = True
        self._arrived.set()
        if self._user is not None:
            self._user.leg_ended(self)
        return not self.is_tls  # a TLS transport cannot stay half open

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True
        self._is_ended = True
        self._arrived.set()
        self.lost.set()
        if self._user is not None:
            self._user.leg_lost(self)

    def pause_writing(self) -> None:
        self.is_congested = True
        if self._user is not None:
            self._user.leg_congested(self)

    def resume_writing(self) -> None:
        self.is_congested = False
        if self._user is not None:
            self._user.leg_drained(self)

    # -- for the relay

    @property
    def is_tls(self) -> bool:
        return self._transport is not None and self._transport.get_extra_info("ssl_object") is not None

    @property
    def tls_name(self) -> str:
        """`TLSv1.3 TLS_AES_256_GCM_SHA384`, empty when plain."""
        ssl_object = self.info("ssl_object")
        return f"{ssl_object.version()} {ssl_object.cipher()[0]}" if ssl_object else ""

    @property
    def alpn(self) -> str | None:
        """The protocol agreed in the TLS handshake."""
        ssl_object = self.info("ssl_object")
        return ssl_object.selected_alpn_protocol() if ssl_object else None

    def info(self, name: str) -> Any:
        """Extra information of the transport, None when there is none."""
        return self._transport.get_extra_info(name) if self._transport else None

    @property
    def peer(self) -> tuple[str, int]:
        """Address and port of the other end."""
        name = self.info("peername") or ("", 0)
        return name[0], name[1]

    async def read(self) -> bytes:
        """Bytes as they come, before `attach`; empty at the end."""
        while not self._unread and not self._is_ended:
            self._arrived.clear()
            await self._arrived.wait()
        data = bytes(self._unread)
        self._unread.clear()
        return data

    def attach(self, user: LegUser, unread: bytes = b"") -> None:
        """From now on bytes go to `user`, first those not read yet."""
        self._user = user
        data = unread + bytes(self._unread)
        self._unread.clear()
        if data:
            user.leg_received(self, data)
        if self.is_lost:
            user.leg_lost(self)
        elif self._is_ended:
            user.leg_ended(self)
        self.resume()

    def write(self, data: bytes | memoryview) -> None:
        """Send. Bytes for a lost connection vanish: `leg_lost` has said so."""
        if self._transport is not None and not self.is_lost:
            self._transport.write(data)

    def write_eof(self) -> None:
        """Say that no more will be sent; a TLS leg is closed instead."""
        if self._transport is None or self.is_lost:
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def pause(self) -> None:
        """Stop reading."""
        if self._is_reading and self._transport is not None and not self.is_lost:
            self._is_reading = False
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if not self._is_reading and self._transport is not None and not self.is_lost:
            self._is_reading = True
            self._transport.resume_reading()

    def close(self) -> None:
        """Close after what is buffered was sent; a leg that lingers closes by itself."""
        if self._transport is not None and self._lingering is None:
            self._transport.close()

    def linger(self, seconds: float, max_bytes: int) -> None:
        """Close so that the peer can read the last words, though it may be sending at this moment.

        A socket that is closed while bytes are unread resets the connection, and the peer's system drops what was not
        read. So the own side is closed (not with TLS, which knows no half), and what comes is thrown away: until the
        peer closes, at most so long, at most so many bytes.
        """
        if self._transport is None or self.is_lost or self._is_ended or self._lingering is not None:
            self.close()
            return
        self._user = _Rest(max_bytes)
        self._lingering = asyncio.get_running_loop().call_later(seconds, self.end_linger)
        self.resume()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def end_linger(self) -> None:
        """Close now."""
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
            self.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    async def start_tls(
        self, context: ssl.SSLContext, *, server_side: bool, server_name: str | None = None, timeout_s: float = 10.0
    ) -> None:
        """Upgrade to TLS. Raises OSError (ssl.SSLError) or TimeoutError."""
        transport = self._transport
        if transport is None:
            raise ConnectionError("not connected")
        upgraded = await asyncio.get_running_loop().start_tls(
            transport,
            cast(asyncio.Protocol, self),
            context,
            server_side=server_side,
            server_hostname=server_name,
            ssl_handshake_timeout=timeout_s,
        )
        if upgraded is None:
            raise ConnectionError("connection lost during the TLS handshake")
        self._transport = upgraded

    def tls_end_point(self) -> bytes | None:
        """tls-server-end-point channel binding data (RFC 5929) of the peer's certificate."""
        ssl_object = self.info("ssl_object")
        certificate = ssl_object.getpeercert(binary_form=True) if ssl_object else None
        return certificate_hash(x509.load_der_x509_certificate(certificate)) if certificate else None


def certificate_hash(certificate: x509.Certificate) -> bytes:
    """RFC 5929 §4.1: the certificate's hash by its own signature hash, MD5 and SHA-1 replaced by SHA-256."""
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None or isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        name = "sha256"
    else:
        name = algorithm.name
    return hashlib.new(name, certificate.public_bytes(Encoding.DER)).digest()
