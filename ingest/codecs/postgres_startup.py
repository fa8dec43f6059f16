"""PostgreSQL start-up: the steps of both legs, and the agent's leg (server role).

Authentication ends at the proxy on both legs, so start-up is two objects, each fed the bytes of one leg:

    leg = AgentStartup(AgentTerms(...))
    leg.receive(data)                       # plaintext, or TLS plaintext after StartTls
    for step in leg.steps():
        SendTo            write `data` to that side (the write must reach the wire before a StartTls that follows)
        StartTls          upgrade the agent's transport, `is_direct`: `unread` is the ClientHello already read;
                          then leg.tls_started(end_point, alpn)
        CancelRequested   find the session by `key`, send cancel_request(its upstream key) over a new connection,
                          close this one without an answer
        CredentialNeeded  look `user` up, then leg.provide(Password | ScramSecret | Md5Hash | Proven | None)
        Authenticated     connect the upstream and go on with UpstreamStartup; stop reading the agent until it is ready
        StartupFailed     the error is sent already; close
    leg.unread()                            # bytes that came behind the start-up: feed them to the codec

    leg = UpstreamStartup(UpstreamLogin(...))       # see postgres_upstream.py
    for step in leg.begin(): ...                    # SSLRequest or StartupMessage
    leg.receive(data); for step in leg.steps(): ... # SendTo both sides, StartTls, UpstreamReady, StartupFailed

`receive_eof()` says that the side closed. Each `steps()` is a list: it is computed at once and has no side
effect on the other leg. Nothing here raises on what the peer sent.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from struct import error as StructError
from typing import Final

from ingest.codecs.base import Side
from ingest.codecs.postgres_scram import (
    PLAIN,
    PLUS,
    AuthenticationError,
    ScramSecret,
    ScramServer,
    derive_secret,
    md5_hash,
    md5_response,
)
from ingest.codecs.postgres_wire import (
    CANCEL_REQUEST,
    GSSENC_REQUEST,
    HEADER,
    INT32,
    PROTOCOL_3_0,
    PROTOCOL_3_2,
    SMALL,
    SSL_REQUEST,
    CancelKey,
    MalformedError,
    error_response,
    message,
    read_cstring,
)

MAX_NEGOTIATIONS: Final = 4
TLS_HANDSHAKE: Final = 0x16
ALPN: Final = "postgresql"


@dataclass(slots=True, frozen=True)
class SendTo:
    side: Side
    data: bytes = field(repr=False)


@dataclass(slots=True, frozen=True)
class StartTls:
    """Upgrade `side`. Direct: no request came before the ClientHello, ALPN `postgresql` is then required."""

    side: Side
    is_direct: bool = False
    unread: bytes = b""


@dataclass(slots=True, frozen=True)
class CancelRequested:
    key: CancelKey


@dataclass(slots=True, frozen=True)
class CredentialNeeded:
    user: str
    database: str
    parameters: dict[str, str]


@dataclass(slots=True, frozen=True)
class Authenticated:
    """`parameters` are all of the startup packet but user, database and `_pq_.*`; `protocol` is the agreed one."""

    user: str
    database: str
    parameters: dict[str, str]
    protocol: int
    method: str


@dataclass(slots=True, frozen=True)
class UpstreamReady:
    """The upstream is idle. `key` cancels there (None: it gave none), `agent_key` is what the agent was told."""

    parameters: dict[str, str]
    key: CancelKey | None
    agent_key: CancelKey | None
    status: int
    protocol: int


@dataclass(slots=True, frozen=True)
class StartupFailed:
    """The leg is over; what the agent must be told has been told by a SendTo before this."""

    sqlstate: str
    message: str
    is_login_refused: bool = False
    """The upstream does not take the proxy's own login."""


StartupStep = SendTo | StartTls | CancelRequested | CredentialNeeded | Authenticated | UpstreamReady | StartupFailed


@dataclass(slots=True, frozen=True)
class Password:
    value: str = field(repr=False)


@dataclass(slots=True, frozen=True)
class Md5Hash:
    """32 hex digits of md5(password ‖ user)."""

    value: str = field(repr=False)


@dataclass(slots=True, frozen=True)
class Proven:
    """The agent has proven who it is already, with a client certificate: no password is asked for."""


Credential = Password | ScramSecret | Md5Hash | Proven


@dataclass(slots=True, frozen=True)
class AgentTerms:
    """What the proxy offers on the agent's leg, and the random bytes it needs (18 for `nonce`, 4 for `md5_salt`).

    `salt_key` makes each user's SCRAM salt, the same for known and unknown users and on every try; it must stay
    the same as long as credentials do. `method` is "scram-sha-256" or "md5".
    """

    nonce: str = field(repr=False)  # printable ASCII without a comma
    md5_salt: bytes = field(repr=False)
    salt_key: bytes = field(repr=False)
    method: str = "scram-sha-256"
    has_tls: bool = False
    is_tls_required: bool = False


class _Phase(Enum):
    START = auto()
    TLS = auto()
    LOOKUP = auto()
    SASL_FIRST = auto()
    SASL_FINAL = auto()
    MD5 = auto()
    DONE = auto()


# What each phase reads next. TLS, LOOKUP and DONE read nothing: bytes wait.
_Step = Callable[["AgentStartup", bytes], None]


class AgentStartup:
    """The agent's leg: negotiation, startup packet, password."""

    def __init__(self, terms: AgentTerms) -> None:
        self._terms = terms
        self._buffer = b""
        self._phase = _Phase.START
        self._steps: list[StartupStep] = []
        self._negotiations = 0
        self._is_tls = False
        self._is_direct = False
        self._end_point: bytes | None = None
        self._user = ""
        self._database = ""
        self._parameters: dict[str, str] = {}
        self._protocol = PROTOCOL_3_0
        self._credential: Credential | None = None
        self._scram: ScramServer | None = None

    @property
    def is_done(self) -> bool:
        return self._phase is _Phase.DONE

    def receive(self, data: bytes) -> None:
        self._buffer += data

    def receive_eof(self) -> None:
        if self._phase is not _Phase.DONE:
            self._end("08006", "the agent closed the connection during start-up")

    def unread(self) -> bytes:
        """Bytes received and not consumed; they are given once."""
        data, self._buffer = self._buffer, b""
        return data

    def tls_started(self, end_point: bytes | None, alpn: str | None = None) -> None:
        """TLS is up. `end_point`: tls-server-end-point data (RFC 5929) to offer channel binding, else None."""
        self._is_tls = True
        self._end_point = end_point
        self._phase = _Phase.START
        if self._is_direct and alpn != ALPN:
            self._fail("08P01", "direct TLS needs the ALPN protocol postgresql")

    def provide(self, credential: Credential | None) -> None:
        """The answer to CredentialNeeded; None: there is no such user (the agent cannot tell)."""
        if isinstance(credential, Proven):
            self._succeed("certificate")
            return
        self._credential = credential
        if self._terms.method == "md5":
            self._send(message(b"R", INT32.pack(5) + self._terms.md5_salt))
            self._phase = _Phase.MD5
            return
        names = [PLUS, PLAIN] if self._end_point is not None else [PLAIN]
        offer = b"".join(name.encode() + b"\0" for name in names)
        self._send(message(b"R", INT32.pack(10) + offer + b"\0"))
        self._phase = _Phase.SASL_FIRST

    def steps(self) -> list[StartupStep]:
        try:
            while self._advance():
                pass
        except AuthenticationError as error:
            if error.is_protocol:
                self._fail("08P01", str(error))
            else:
                self._fail_password()
        except (MalformedError, StructError, UnicodeDecodeError, IndexError):
            self._fail("08P01", "malformed start-up message")
        steps, self._steps = self._steps, []
        return steps

    # one message at a time

    def _advance(self) -> bool:
        if self._phase is _Phase.START:
            return self._read_packet()
        read = _READERS.get(self._phase)
        if read is None or len(self._buffer) < 5:
            return False
        kind, length = HEADER.unpack_from(self._buffer)
        if kind == ord("X"):
            self._end("08006", "the agent ended the connection during start-up")
            return False
        if kind != ord("p") or not 4 <= length <= SMALL:
            raise MalformedError("not a password message")
        if len(self._buffer) < length + 1:
            return False
        body, self._buffer = self._buffer[5 : length + 1], self._buffer[length + 1 :]
        read(self, body)
        return True

    def _read_packet(self) -> bool:
        if self._buffer[:1] == bytes((TLS_HANDSHAKE,)):
            return self._start_direct_tls()
        if len(self._buffer) < 8:
            return False
        length, code = INT32.unpack_from(self._buffer)[0], INT32.unpack_from(self._buffer, 4)[0]
        if not 8 <= length <= SMALL:
            raise MalformedError("bad length of a startup packet")
        if len(self._buffer) < length:
            return False
        packet, self._buffer = self._buffer[8:length], self._buffer[length:]
        if code in (SSL_REQUEST, GSSENC_REQUEST):
            return self._negotiate(code)
        if code == CANCEL_REQUEST:
            return self._cancel(packet)
        return self._start(code, packet)

    def _start_direct_tls(self) -> bool:
        if self._is_tls or not self._terms.has_tls or self._negotiations:
            raise MalformedError("unexpected TLS handshake")
        self._is_direct = True
        self._phase = _Phase.TLS
        self._steps.append(StartTls(Side.AGENT, is_direct=True, unread=self.unread()))
        return False

    def _negotiate(self, code: int) -> bool:
        self._negotiations += 1
        if self._negotiations > MAX_NEGOTIATIONS:
            raise MalformedError("too many negotiation requests")
        if code == SSL_REQUEST and self._terms.has_tls and not self._is_tls:
            if self._buffer:  # plaintext stuffed before the handshake would pass for protected text (CVE-2021-23214)
                self._fail("08P01", "received unencrypted data after SSL request")
                return False
            self._send(b"S")
            self._phase = _Phase.TLS
            self._steps.append(StartTls(Side.AGENT))
            return False
        self._send(b"N")
        return True

    def _cancel(self, packet: bytes) -> bool:
        if not 5 <= len(packet) <= 4 + 256:
            raise MalformedError("bad cancel key")
        self._phase = _Phase.DONE
        self._steps.append(CancelRequested(CancelKey(INT32.unpack_from(packet)[0], packet[4:])))
        return False

    def _start(self, version: int, packet: bytes) -> bool:
        if version >> 16 != 3:
            self._fail("0A000", f"unsupported frontend protocol {version >> 16}.{version & 0xFFFF}")
            return False
        if self._terms.is_tls_required and not self._is_tls:
            self._fail("28000", "this resource takes connections over TLS only")
            return False
        given = _read_parameters(packet)
        declined = [name for name in given if name.startswith("_pq_.")]
        self._protocol = min(version, PROTOCOL_3_2)
        if declined or version > PROTOCOL_3_2:
            names = b"".join(name.encode() + b"\0" for name in declined)
            self._send(message(b"v", INT32.pack(self._protocol) + INT32.pack(len(declined)) + names))
        self._user = given.pop("user", "")
        if not self._user:
            self._fail("28000", "no PostgreSQL user name specified in startup packet")
            return False
        self._database = given.pop("database", "") or self._user
        self._parameters = {name: value for name, value in given.items() if name not in declined}
        self._phase = _Phase.LOOKUP
        self._steps.append(CredentialNeeded(self._user, self._database, dict(self._parameters)))
        return False

    # passwords

    def _read_sasl_first(self, body: bytes) -> None:
        name, start = read_cstring(body, 0, len(body))
        mechanism = name.decode()
        if mechanism not in (PLAIN, PLUS) or (mechanism == PLUS and self._end_point is None):
            raise AuthenticationError("the agent chose a SASL mechanism that was not offered", is_protocol=True)
        length = INT32.unpack_from(body, start)[0]
        if length != len(body) - start - 4:
            raise MalformedError("bad length of a SASL response")
        secret, is_genuine = self._scram_secret()
        self._scram = ScramServer(
            mechanism, secret, self._terms.nonce, is_genuine=is_genuine, end_point=self._end_point
        )
        answer = self._scram.first(body[start + 4 :])
        self._send(message(b"R", INT32.pack(11) + answer))
        self._phase = _Phase.SASL_FINAL

    def _scram_secret(self) -> tuple[ScramSecret, bool]:
        """The expected secret; for an unknown user a decoy that costs and looks the same."""
        credential = self._credential
        if isinstance(credential, ScramSecret):
            return credential, True
        salt = hmac.digest(self._terms.salt_key, self._user.encode(), "sha256")[:16]
        if isinstance(credential, Password):
            return derive_secret(credential.value, salt), True
        return derive_secret(self._terms.nonce, salt), False

    def _read_sasl_final(self, body: bytes) -> None:
        if self._scram is None:
            raise MalformedError("no exchange")
        self._send(message(b"R", INT32.pack(12) + self._scram.final(body)))
        self._succeed("scram-sha-256")

    def _read_md5(self, body: bytes) -> None:
        given, _ = read_cstring(body, 0, len(body))
        credential = self._credential
        stored = md5_hash(credential.value, self._user) if isinstance(credential, Password) else ""
        if isinstance(credential, Md5Hash):
            stored = credential.value
        expected = md5_response(stored, self._terms.md5_salt)
        if not hmac.compare_digest(given, expected) or not stored:
            raise AuthenticationError("wrong password")
        self._succeed("md5")

    # ends

    def _succeed(self, method: str) -> None:
        self._send(message(b"R", INT32.pack(0)))
        self._phase = _Phase.DONE
        self._credential = None
        self._scram = None
        self._steps.append(Authenticated(self._user, self._database, dict(self._parameters), self._protocol, method))

    def _send(self, data: bytes) -> None:
        self._steps.append(SendTo(Side.AGENT, data))

    def _fail_password(self) -> None:
        self._fail("28P01", f'password authentication failed for user "{self._user}"')

    def _fail(self, sqlstate: str, text: str) -> None:
        self._send(error_response("FATAL", sqlstate, text))
        self._end(sqlstate, text)

    def _end(self, sqlstate: str, text: str) -> None:
        self._phase = _Phase.DONE
        self._buffer = b""
        self._credential = None
        self._steps.append(StartupFailed(sqlstate, text))


_READERS: Final[dict[_Phase, _Step]] = {
    _Phase.SASL_FIRST: AgentStartup._read_sasl_first,
    _Phase.SASL_FINAL: AgentStartup._read_sasl_final,
    _Phase.MD5: AgentStartup._read_md5,
}


def _read_parameters(packet: bytes) -> dict[str, str]:
    """Name and value pairs of a startup packet, which ends with an empty name."""
    given: dict[str, str] = {}
    start = 0
    while packet[start]:
        name, start = read_cstring(packet, start, len(packet))
        value, start = read_cstring(packet, start, len(packet))
        given[name.decode()] = value.decode()
    if start != len(packet) - 1:
        raise MalformedError("bytes behind the startup parameters")
    return given
