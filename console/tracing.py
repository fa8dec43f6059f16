"""Asking the key holder for a value's tokens, and the record for who had them. The value goes to the holder only."""

import base64
import http.client
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from console import queries
from console.control import Place, require_home
from console.store import Store
from schemas.errors import ConfigError, CustodyError, Fault, Unreachable

PATH: Final = "/v1/trace"
SOCKET: Final = "keyholder.sock"
LOGIN: Final = "keyholder/console.password"
TIMEOUT_S: Final = 30.0
MAX_ANSWER_BYTES: Final = 1 << 20


class TraceRefused(CustodyError):
    """The key holder does not answer this one; the message is its own."""

    fault = Fault.CALLER


@dataclass(frozen=True, slots=True)
class Tokens:
    """A value's tokens under every key, the session in which the asking is recorded, and what the day still holds."""

    tokens: Sequence[str]
    session_id: str
    left_today: int


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket in a directory of any length."""

    def __init__(self, directory: Path, name: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._directory, self._name = directory, name

    def connect(self) -> None:
        folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(f"/proc/self/fd/{folder}/{self._name}")
        finally:
            os.close(folder)


def ask(place: Place, value: bytes, reason: str = "") -> Tokens:
    """The tokens of a value. Raises Unreachable, TraceRefused, ConfigError; none of them holds the value."""
    home = require_home(place).home
    login = home.read_secret(LOGIN)
    body = json.dumps({"value_base64": base64.b64encode(value).decode(), "reason": reason})
    headers = {"Authorization": f"Bearer {login}", "Content-Type": "application/json"}
    connection = UnixConnection(home.run, SOCKET)
    try:
        connection.request("POST", PATH, body, headers)
        response = connection.getresponse()
        status, answer = response.status, response.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"the key holder does not answer ({type(error).__name__}); see `custody status`") from None
    finally:
        connection.close()
    return _read_answer(status, answer)


def _read_answer(status: int, answer: bytes) -> Tokens:
    try:
        document = json.loads(answer)
        if status == http.client.OK:
            return Tokens(list(document["tokens"]), str(document["session_id"]), int(document["left_today"]))
        why, wait_s = str(document.get("error", "")), int(document.get("retry_after_s", 0))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Unreachable(f"the key holder's answer ({status}) cannot be read") from None
    if status == http.client.SERVICE_UNAVAILABLE:
        raise Unreachable(f"the key holder says: {why}")
    if status == http.client.BAD_REQUEST:
        raise ConfigError(why)
    raise TraceRefused(f"the key holder says: {why}" + (f"; ask again in {wait_s} s" if wait_s else ""))


@dataclass(frozen=True, slots=True)
class Found:
    """What the record has: who had the value, where it flowed, who asked for it before."""

    sightings: list[dict[str, Any]]
    edges: list[dict[str, Any]]
    askings: list[dict[str, Any]]


def find(store: Store, tokens: Tokens, since_us: int, limit: int) -> Found:
    """Sightings of the tokens, oldest first: one a session and direction. Raises QueryFailed, Unreachable."""
    parameters = {"tokens": list(tokens.tokens), "since": since_us, "limit": limit, "own": tokens.session_id}
    return Found(*(store.rows(sql, parameters) for sql in (queries.TRACE, queries.LINEAGE, queries.TRACED_BEFORE)))
