"""Access logs of HTTP servers as sightings: combined and common format, and JSON lines of the usual servers."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from console.reconcile.shapes import HttpShapes
from console.reconcile.sighting import Reading, Sighting
from console.reconcile.times import parse_any, parse_common

SECOND_US: Final = 1_000_000
METHOD: Final = re.compile(r"[A-Z][A-Z_-]{1,20}")
HEAD_CHARS: Final = 70_000

_QUOTED: Final = r'"((?:[^"\\]|\\.)*)"'
COMBINED: Final = re.compile(
    rf"(\S{{1,255}}) (\S{{1,255}}) (.{{1,255}}?) \[([^\]]{{10,40}})\] {_QUOTED} (\d{{3}}|-) (\d+|-)(?: .*)?"
)
"""`host ident user [time] "request" status bytes`, whatever follows."""

# Names under which servers put the same fact, the first that is there counts; a dot goes into an object.
TIMES: Final = ("time_iso8601", "msec", "StartUTC", "start_time", "@timestamp", "timestamp", "time", "time_local", "ts")
METHODS: Final = ("request_method", "RequestMethod", "request.method", "method", "http_method", "http.request.method")
TARGETS: Final = (
    "request_uri", "RequestPath", "request.uri", "uri", "url", "path", "http_path", "url.original", "url.path",
)  # fmt: skip
REQUESTS: Final = ("request", "requestLine", "request_line")
STATUSES: Final = ("status", "DownstreamStatus", "response_code", "status_code", "http.response.status_code")
ADDRESSES: Final = (
    "remote_addr", "ClientHost", "request.remote_ip", "remote_ip", "client_ip", "remote_host", "source.address",
    "downstream_remote_address", "client",
)  # fmt: skip
USERS: Final = ("remote_user", "ClientUsername", "user_id", "user")


def read_access_log(lines: Iterable[tuple[int, str]], reading: Reading, shapes: HttpShapes) -> Iterator[Sighting]:
    """Sightings; each line may have either form. What is no request of either is counted as unread."""
    for number, line in lines:
        if not line.strip():
            continue
        found = _json(number, line, shapes) if line.startswith("{") else _combined(number, line, shapes)
        if found is None:
            reading.cannot_read(number)
        else:
            yield found


def _combined(number: int, line: str, shapes: HttpShapes) -> Sighting | None:
    found = COMBINED.fullmatch(line[:HEAD_CHARS])
    if not found:
        return None
    try:
        at = parse_common(found[4])
    except ValueError:
        return None
    method, target = _split_request(found[5])
    return _sighting(number, at, method, target, shapes, found[1], found[3], found[6], SECOND_US)


def _split_request(request: str) -> tuple[str, str]:
    """Method and target of a request line; ("", it) for bytes that were none (a TLS hello, an empty line)."""
    method, _, rest = request.partition(" ")
    return (method, rest.rsplit(" ", 1)[0]) if METHOD.fullmatch(method) and rest else ("", request)


def _json(number: int, line: str, shapes: HttpShapes) -> Sighting | None:
    try:
        row = json.loads(line)
        time = _first(row, TIMES)
        at = parse_any(time)
    except (ValueError, RecursionError, OverflowError):
        return None
    method, target = _text(row, METHODS), _text(row, TARGETS)
    request = _text(row, REQUESTS)
    if not method and request:
        method, target = _split_request(request)
    if not METHOD.fullmatch(method) or not target:
        return None
    is_coarse = isinstance(time, int) or (isinstance(time, str) and "." not in time)
    slack = SECOND_US if is_coarse else 0
    return _sighting(
        number, at, method, target, shapes, _text(row, ADDRESSES), _text(row, USERS), _text(row, STATUSES), slack
    )


def _sighting(
    number: int, at: int, method: str, target: str, shapes: HttpShapes, source: str, user: str, status: str, slack: int
) -> Sighting:
    shape = shapes.logged(method, target) if method else "(no request)"
    user = "" if user == "-" else user
    return Sighting(at, shape, shape, user=user, source=source, status=status, line=number, slack_us=slack)


def _first(row: Any, names: tuple[str, ...]) -> Any:
    """The first of these that a document has, by its whole name or through objects; None for none."""
    if not isinstance(row, dict):
        return None
    for name in names:
        value: Any = row.get(name)
        if value is None and "." in name:
            value = row
            for part in name.split("."):
                value = value.get(part) if isinstance(value, dict) else None
        if value is not None and not isinstance(value, dict | list):
            return value
    return None


def _text(row: Any, names: tuple[str, ...]) -> str:
    value = _first(row, names)
    return "" if value is None else str(value)
