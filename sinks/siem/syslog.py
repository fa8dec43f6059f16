"""Syslog over TLS: RFC 5424 messages, octet-counted (RFC 5425), to one receiver whose certificate is verified.

Syslog has no acknowledgement. Bytes that `send` took may lie in this host's buffers, on the wire or in the receiver's
buffers, and a reset loses them without a word. So what is sent stays *unconfirmed*, and the sink sends all of it again
after any failure: at least once, never lost; repeats carry the same id (detection_id, session_id).

The one answer that a receiver gives is its TLS close_notify: it comes after it has read everything before ours
(RFC 5246 §7.2.1; under TLS 1.3 receivers answer the closing likewise). `confirm` closes the connection in that orderly
way, waits for the answer, and the next `send` opens a new one. A receiver that ends the TCP connection without a
close_notify, but cleanly, also counts: a kernel that holds unread data answers with a reset instead. What the receiver
does with what it has read (its queues, its disk) is beyond this protocol.
"""

import contextlib
import os
import socket
import ssl
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from schemas.config import Syslog
from schemas.errors import ConfigError, Unreachable
from sinks.siem.rfc5424 import frame, local_hostname, render
from sinks.siem.transport import Message

TIMEOUT_S: Final = 10.0
CONFIRM_TIMEOUT_S: Final = 10.0
SEND_BYTES: Final = 256 << 10


def make_context(config: Syslog) -> ssl.SSLContext:
    """TLS that verifies the receiver, with a client certificate if configured. Raises ConfigError."""
    try:
        context = ssl.create_default_context(cafile=config.ca_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if config.client_certificate:
            key = config.client_key or config.client_certificate
            if stat.S_IMODE(Path(key).stat().st_mode) & 0o077:
                raise ConfigError("siem.syslog.client_key: must have mode 0600")
            context.load_cert_chain(config.client_certificate, config.client_key or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"siem.syslog: {getattr(error, 'strerror', None) or error}") from None
    return context


class SyslogTransport:
    """One connection at a time. Blocking, bounded by timeouts."""

    def __init__(self, config: Syslog) -> None:
        self._config = config
        self._context = make_context(config)
        self._hostname = local_hostname()
        self._process_id = str(os.getpid())
        self._socket: ssl.SSLSocket | None = None
        self.connections = 0

    def send(self, messages: Sequence[Message]) -> None:
        """Write the messages. Raises Unreachable; what of them arrived is then unknown."""
        buffer = bytearray()
        for message in messages:
            buffer += frame(render(message, self._hostname, self._process_id))
            if len(buffer) >= SEND_BYTES:
                self._write(bytes(buffer))
                buffer.clear()
        if buffer:
            self._write(bytes(buffer))

    def confirm(self) -> None:
        """Close in order and wait for the receiver to have read everything. Raises Unreachable."""
        if self._socket is None:
            return
        try:
            self._socket.settimeout(CONFIRM_TIMEOUT_S)
            plain = self._socket.unwrap()
            plain.close()
            self._socket = None
        except ssl.SSLEOFError:
            self.close()  # a clean end of the TCP connection, after all was read
        except (OSError, ValueError) as error:
            self.close()
            raise Unreachable(f"syslog {self._peer()}: the end was not confirmed: {_reason(error)}") from None

    def close(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None

    def _write(self, data: bytes) -> None:
        try:
            if self._socket is None:
                self._socket = self._connect()
            self._check_alive(self._socket)
            self._socket.settimeout(TIMEOUT_S)
            self._socket.sendall(data)
        except (OSError, ValueError) as error:
            self.close()
            raise Unreachable(f"syslog {self._peer()}: {_reason(error)}") from None

    def _connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection((self._config.host, self._config.port), TIMEOUT_S)
        try:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # What the peer has not acknowledged within this time is known to be lost.
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(TIMEOUT_S * 1000))
            secure = self._context.wrap_socket(plain, server_hostname=self._config.server_name or self._config.host)
        except BaseException:
            plain.close()
            raise
        self.connections += 1
        return secure

    @staticmethod
    def _check_alive(connection: ssl.SSLSocket) -> None:
        """A receiver says nothing, unless it is leaving: then a write would vanish without an error."""
        connection.settimeout(0)
        try:
            if not connection.recv(1024):
                raise ConnectionResetError("closed by the receiver")
        except ssl.SSLWantReadError:
            return

    def _peer(self) -> str:
        return f"{self._config.host}:{self._config.port}"


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    return getattr(error, "strerror", None) or type(error).__name__
