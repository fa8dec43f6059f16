"""A schema registry by Confluent's REST contract: registers schemas, looks ids up, remembers both.

Only two calls are used: POST /subjects/{subject}/versions and GET /schemas/ids/{id}. Whatever is not a registry's own
answer (no connection, another status, no JSON) is Unreachable: it says nothing about the record, so what needs it
waits. Only the registry's own "no such schema" and a refused registration are RecordErrors.
Source: Confluent Schema Registry API Reference.
"""

import base64
import contextlib
import http.client
import json
import os
import socket
import ssl
import threading
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

from schemas import topics
from schemas.config import Settings, is_loopback
from schemas.errors import ConfigError, RecordError, Unreachable

ENV_AUTH: Final = "CUSTODY_REGISTRY_AUTH"
TIMEOUT_S: Final = 2.0
TOTAL_TIMEOUT_S: Final = 4.0
MAX_ANSWER_BYTES: Final = 1 << 20
MAX_REMEMBERED: Final = 1000
MAX_MESSAGE_CHARS: Final = 200
MAX_ID: Final = 2**31 - 1
NO_SUCH_SCHEMA: Final = 40403
REFUSED: Final = (409, 422)
_TYPE: Final = "application/vnd.schemaregistry.v1+json"

TOPIC_OF: Final[Mapping[str, str]] = {
    "SealedBatch": topics.RAW,
    "EventBatch": topics.SESSIONS,
    "FactBatch": topics.FACTS,
    "SightingBatch": topics.FACTS,
    "FactBundle": topics.FACTS,
    "Detection": topics.DETECTIONS,
    "LineageEdge": topics.DETECTIONS,
    "RetentionAction": topics.RETENTION,
    "Control": topics.CONTROL,
    "DeadLetter": topics.DEADLETTER,
    "Progress": "",
}
"""Every framed record and its topic: the subject is `<topic>-<full name>`. Progress, in many topics, has its name."""


def subject_of(record: str) -> str:
    """The subject under which a record's versions are registered."""
    name = f"custody.v1.{record}"
    return f"{topic}-{name}" if (topic := TOPIC_OF[record]) else name


class HttpRegistry:
    """See framing.Registry. Usable from several threads. `auth` is `user:password`, and is never shown."""

    def __init__(self, url: str, auth: str = "", ca_file: str = "") -> None:
        address = urlsplit(url)
        self._host = address.hostname or ""
        self._tls = make_tls(ca_file) if address.scheme == "https" else None
        self._port = address.port or (443 if self._tls else 80)
        self._base = address.path.rstrip("/")
        self._name = f"schema registry at {self._host}:{self._port}"
        self._headers = {"Accept": f"{_TYPE}, application/json"}
        if auth:
            self._headers["Authorization"] = f"Basic {base64.b64encode(auth.encode()).decode()}"
        self._ids: dict[tuple[str, str], int] = {}
        self._schemas: dict[int, str] = {}

    def id_of(self, record: str, schema_json: str) -> int:
        key = (record, schema_json)
        if key not in self._ids:
            path = f"/subjects/{quote(subject_of(record), safe='')}/versions"
            status, answer = self._ask("POST", path, json.dumps({"schema": schema_json}).encode())
            if status in REFUSED:
                raise RecordError(f"{self._name} refuses the schema of {record}: {self._reason(status, answer)}")
            found = self._field(status, answer, "id", int)
            if not 0 <= found <= MAX_ID:
                raise Unreachable(f"{self._name} gives an id out of range")
            self._ids[key] = found
            self._schemas[found] = schema_json
        return self._ids[key]

    def schema_of(self, schema_id: int) -> str:
        known = self._schemas.get(schema_id)
        if known is not None:
            return known
        status, answer = self._ask("GET", f"/schemas/ids/{schema_id}")
        if status == http.client.NOT_FOUND and answer.get("error_code") == NO_SUCH_SCHEMA:
            raise RecordError(f"{self._name} knows no schema {schema_id}")
        found: str = self._field(status, answer, "schema", str)
        if answer.get("schemaType", "AVRO") != "AVRO":
            raise RecordError(f"schema {schema_id} of the registry is no Avro schema")
        if len(self._schemas) < MAX_REMEMBERED:
            self._schemas[schema_id] = found
        return found

    def _field(self, status: int, answer: dict[str, Any], name: str, kind: type[Any]) -> Any:
        if status != http.client.OK:
            raise Unreachable(f"{self._name} answers {self._reason(status, answer)}")
        if type(answer.get(name)) is not kind:
            raise Unreachable(f"{self._name} answers what no schema registry does")
        return answer[name]

    def _reason(self, status: int, answer: dict[str, Any]) -> str:
        if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
            return f"{status}: look at {ENV_AUTH}"
        text = "".join(char for char in str(answer.get("message", ""))[:MAX_MESSAGE_CHARS] if char.isprintable())
        return f"{status} {text}".rstrip()

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of one exchange; an empty object when the body is none. Raises Unreachable."""
        headers = self._headers | ({"Content-Type": _TYPE} if body else {})
        connection = self._connect()
        try:
            connection.connect()
            # A peer that drips its answer byte by byte would never run into the timeout of a single read.
            guard = threading.Timer(TOTAL_TIMEOUT_S, _hang_up, [connection.sock])
            guard.daemon = True
            guard.start()
            try:
                connection.request(method, self._base + path, body, headers)
                response = connection.getresponse()
                data = response.read(MAX_ANSWER_BYTES + 1)
            finally:
                guard.cancel()
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise Unreachable(f"{self._name} does not answer: {reason}") from None
        finally:
            connection.close()
        return response.status, _as_object(data)

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT_S, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)


def _as_object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data) if len(data) <= MAX_ANSWER_BYTES else None
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}


def _hang_up(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


def make_tls(ca_file: str) -> ssl.SSLContext:
    """Raises ConfigError."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise ConfigError(f"schema_registry.ca_file: {error.strerror or type(error).__name__}") from None


def make_registry(settings: Settings) -> HttpRegistry | None:
    """The registry of the settings, with the environment's credentials; None when there is none. Raises ConfigError."""
    url = settings.schema_registry.url
    if not url:
        return None
    auth = os.environ.get(ENV_AUTH, "")
    if auth and (":" not in auth or not auth.isprintable()):
        raise ConfigError(f"{ENV_AUTH} is not user:password")
    address = urlsplit(url)
    if auth and address.scheme != "https" and not is_loopback(address.hostname or ""):
        raise ConfigError("schema_registry.url: credentials go over https only, except to loopback")
    return HttpRegistry(url, auth, settings.schema_registry.ca_file)
