"""PostgreSQL start-up, the upstream's leg (client role): TLS request, login with the injected credential, first
Ready.

The relay connects a socket, then drives this as postgres_startup.py says. `tls` is what the resource demands:
"disable", "prefer" or "require"; whether a certificate is good is for the relay's TLS context.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from struct import error as StructError
from typing import Final

from ingest.codecs.base import Side
from ingest.codecs.postgres_scram import PLAIN, PLUS, AuthenticationError, ScramClient, md5_hash, md5_response
from ingest.codecs.postgres_startup import SendTo, StartTls, StartupFailed, StartupStep, UpstreamReady
from ingest.codecs.postgres_wire import (
    HEADER,
    INT32,
    PROTOCOL_3_0,
    SSL_REQUEST,
    CancelKey,
    MalformedError,
    backend_key_data,
    error_response,
    message,
    read_cstring,
    read_fields,
)

MAX_STARTUP_BYTES: Final = 1 << 20


@dataclass(slots=True, frozen=True)
class UpstreamLogin:
    """Who logs in where. `parameters` are the agent's (Authenticated.parameters), passed on as they are.

    `agent_key` is what the agent shall cancel with: its secret is cut to 4 bytes when the agent speaks 3.0 (give 32
    random bytes). `protocol` is asked of the upstream, `agent_protocol` was agreed with the agent.
    """

    user: str
    database: str
    nonce: str = field(repr=False)
    agent_key: CancelKey
    password: str | None = field(default=None, repr=False)
    parameters: dict[str, str] = field(default_factory=dict)
    tls: str = "prefer"
    protocol: int = PROTOCOL_3_0
    agent_protocol: int = PROTOCOL_3_0
    is_cleartext_allowed: bool = False  # a password in clear text without TLS


class _Phase(Enum):
    TLS_ANSWER = auto()
    TLS = auto()
    LOGIN = auto()
    SETTINGS = auto()
    DONE = auto()


class UpstreamStartup:
    """The upstream's leg."""

    def __init__(self, login: UpstreamLogin) -> None:
        self._login = login
        self._buffer = b""
        self._phase = _Phase.LOGIN
        self._steps: list[StartupStep] = []
        self._is_tls = False
        self._end_point: bytes | None = None
        self._scram: ScramClient | None = None
        self._is_scram_open = False
        self._answer: list[bytes] = []  # what the agent shall see of the start-up
        self._answer_bytes = 0
        self._parameters: dict[str, str] = {}
        self._key: CancelKey | None = None
        self._protocol = login.protocol

    @property
    def is_done(self) -> bool:
        return self._phase is _Phase.DONE

    def begin(self) -> list[StartupStep]:
        """The first steps, once the socket is connected."""
        if self._login.tls == "disable":
            return [SendTo(Side.UPSTREAM, self._startup_packet())]
        self._phase = _Phase.TLS_ANSWER
        return [SendTo(Side.UPSTREAM, INT32.pack(8) + INT32.pack(SSL_REQUEST))]

    def receive(self, data: bytes) -> None:
        self._buffer += data

    def receive_eof(self) -> None:
        if self._phase is not _Phase.DONE:
            self._fail("08006", "the upstream closed the connection during start-up")

    def unread(self) -> bytes:
        data, self._buffer = self._buffer, b""
        return data

    def tls_started(self, end_point: bytes | None = None) -> None:
        """TLS is up; the StartupMessage follows in the next `steps()`."""
        self._is_tls = True
        self._end_point = end_point
        self._phase = _Phase.LOGIN
        self._steps.append(SendTo(Side.UPSTREAM, self._startup_packet()))

    def steps(self) -> list[StartupStep]:
        try:
            while self._advance():
                pass
        except AuthenticationError as error:
            self._fail("08004", f"login to the upstream failed: {error}")
        except (MalformedError, StructError, UnicodeDecodeError, IndexError):
            self._fail("08P01", "the upstream sent a malformed start-up message")
        steps, self._steps = self._steps, []
        return steps

    def _startup_packet(self) -> bytes:
        given = {"user": self._login.user, "database": self._login.database}
        given |= {k: v for k, v in self._login.parameters.items() if k not in given and not k.startswith("_pq_.")}
        pairs = "".join(f"{name}\0{value}\0" for name, value in given.items())
        body = INT32.pack(self._login.protocol) + pairs.encode() + b"\0"
        return INT32.pack(len(body) + 4) + body

    def _advance(self) -> bool:
        if self._phase is _Phase.TLS_ANSWER:
            return self._read_tls_answer()
        if self._phase in (_Phase.TLS, _Phase.DONE) or len(self._buffer) < 5:
            return False
        kind, length = HEADER.unpack_from(self._buffer)
        if not 4 <= length <= MAX_STARTUP_BYTES:
            raise MalformedError("bad length")
        if len(self._buffer) < length + 1:
            return False
        whole, self._buffer = self._buffer[: length + 1], self._buffer[length + 1 :]
        read = _READERS.get((self._phase, kind))
        if read is None:
            raise MalformedError("unexpected message")
        read(self, whole)
        return True

    def _read_tls_answer(self) -> bool:
        if not self._buffer:
            return False
        answer = self._buffer[:1]
        if answer == b"S":
            if len(self._buffer) > 1:  # see CVE-2021-23222
                raise MalformedError("unencrypted data after the answer to SSLRequest")
            self._buffer = b""
            self._phase = _Phase.TLS
            self._steps.append(StartTls(Side.UPSTREAM))
            return False
        if answer != b"N" or len(self._buffer) > 1:
            raise MalformedError("bad answer to SSLRequest")
        self._buffer = b""
        if self._login.tls != "prefer":
            self._fail("08004", "the upstream offers no TLS and the resource requires it")
            return False
        self._phase = _Phase.LOGIN
        self._steps.append(SendTo(Side.UPSTREAM, self._startup_packet()))
        return True

    # login

    def _read_authentication(self, whole: bytes) -> None:
        code = INT32.unpack_from(whole, 5)[0]
        read = _METHODS.get(code)
        if read is None:
            raise AuthenticationError(f"authentication method {code} is not supported")
        if self._login.password is None and code != 0:
            raise AuthenticationError("the upstream asks for a password and the resource has none")
        read(self, whole[9:])

    def _read_ok(self, _: bytes) -> None:
        if self._is_scram_open:
            raise AuthenticationError("the upstream skipped its proof")
        self._phase = _Phase.SETTINGS

    def _read_cleartext(self, _: bytes) -> None:
        if not (self._is_tls or self._login.is_cleartext_allowed):
            raise AuthenticationError("the upstream wants the password in clear text without TLS")
        self._send_password((self._login.password or "").encode() + b"\0")

    def _read_md5(self, body: bytes) -> None:
        stored = md5_hash(self._login.password or "", self._login.user)
        self._send_password(md5_response(stored, body[:4]) + b"\0")

    def _read_sasl(self, body: bytes) -> None:
        offered = body.rstrip(b"\0").split(b"\0")
        if self._end_point is not None and PLUS.encode() in offered:
            mechanism = PLUS
        elif PLAIN.encode() in offered:
            mechanism = PLAIN
        else:
            raise AuthenticationError("the upstream offers no SASL mechanism known here")
        self._scram = ScramClient(
            mechanism,
            self._login.password or "",
            self._login.nonce,
            end_point=self._end_point,
            is_tls=self._is_tls,
        )
        self._is_scram_open = True
        first = self._scram.first()
        self._send_password(mechanism.encode() + b"\0" + INT32.pack(len(first)) + first)

    def _read_sasl_continue(self, body: bytes) -> None:
        self._send_password(self._exchange().final(body))

    def _read_sasl_final(self, body: bytes) -> None:
        self._exchange().verify(body)
        self._is_scram_open = False

    def _exchange(self) -> ScramClient:
        if self._scram is None:
            raise MalformedError("SASL message without an exchange")
        return self._scram

    def _send_password(self, body: bytes) -> None:
        self._steps.append(SendTo(Side.UPSTREAM, message(b"p", body)))

    # settings

    def _read_parameter(self, whole: bytes) -> None:
        name, start = read_cstring(whole, 5, len(whole))
        value, _ = read_cstring(whole, start, len(whole))
        self._parameters[name.decode()] = value.decode("utf-8", "backslashreplace")
        self._pass_on(whole)

    def _read_key(self, whole: bytes) -> None:
        if not 13 <= len(whole) <= 9 + 256:
            raise MalformedError("bad cancel key")
        self._key = CancelKey(INT32.unpack_from(whole, 5)[0], whole[9:])

    def _read_version(self, whole: bytes) -> None:
        self._protocol = INT32.unpack_from(whole, 5)[0]
        if self._protocol >> 16 != 3:
            raise MalformedError("bad protocol version")

    def _pass_on(self, whole: bytes) -> None:
        self._answer_bytes += len(whole)
        if self._answer_bytes > MAX_STARTUP_BYTES:
            raise MalformedError("too long a start-up")
        self._answer.append(whole)

    def _read_ready(self, whole: bytes) -> None:
        key = self._login.agent_key
        if self._login.agent_protocol == PROTOCOL_3_0:
            key = CancelKey(key.process_id, key.secret[:4])
        agent_key = key if self._key is not None else None
        if agent_key is not None:
            self._answer.append(backend_key_data(agent_key))
        self._phase = _Phase.DONE
        self._steps.append(SendTo(Side.AGENT, b"".join(self._answer) + whole))
        self._steps.append(UpstreamReady(self._parameters, self._key, agent_key, whole[5], self._protocol))

    def _read_error(self, whole: bytes) -> None:
        fields = read_fields(whole, 5, len(whole))
        sqlstate, text = fields.get("sqlstate", "08004"), fields.get("message", "")
        if sqlstate.startswith("28"):  # it names the upstream's own user, which is not the agent's business
            text = f"the upstream refused the login of this proxy ({sqlstate})"
            self._steps.append(SendTo(Side.AGENT, error_response("FATAL", "08004", text)))
            self._end("08004", text, is_login_refused=True)
            return
        self._steps.append(SendTo(Side.AGENT, b"".join(self._answer) + whole))
        self._end(sqlstate, text)

    def _fail(self, sqlstate: str, text: str) -> None:
        self._steps.append(SendTo(Side.AGENT, error_response("FATAL", sqlstate, text)))
        self._end(sqlstate, text)

    def _end(self, sqlstate: str, text: str, *, is_login_refused: bool = False) -> None:
        self._phase = _Phase.DONE
        self._buffer = b""
        self._steps.append(StartupFailed(sqlstate, text, is_login_refused))


_Reader = Callable[[UpstreamStartup, bytes], None]

_METHODS: Final[dict[int, _Reader]] = {
    0: UpstreamStartup._read_ok,
    3: UpstreamStartup._read_cleartext,
    5: UpstreamStartup._read_md5,
    10: UpstreamStartup._read_sasl,
    11: UpstreamStartup._read_sasl_continue,
    12: UpstreamStartup._read_sasl_final,
}

_READERS: Final[dict[tuple[_Phase, int], _Reader]] = {
    (_Phase.LOGIN, ord("R")): UpstreamStartup._read_authentication,
    (_Phase.LOGIN, ord("E")): UpstreamStartup._read_error,
    (_Phase.LOGIN, ord("v")): UpstreamStartup._read_version,
    (_Phase.LOGIN, ord("N")): UpstreamStartup._pass_on,
    (_Phase.SETTINGS, ord("S")): UpstreamStartup._read_parameter,
    (_Phase.SETTINGS, ord("K")): UpstreamStartup._read_key,
    (_Phase.SETTINGS, ord("v")): UpstreamStartup._read_version,
    (_Phase.SETTINGS, ord("N")): UpstreamStartup._pass_on,
    (_Phase.SETTINGS, ord("E")): UpstreamStartup._read_error,
    (_Phase.SETTINGS, ord("Z")): UpstreamStartup._read_ready,
}
