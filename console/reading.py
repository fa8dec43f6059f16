"""What people and programs read of the record: the same questions for the commands and for the API."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from console import queries
from console.control import Place
from console.events import Row, row_from
from console.store import Store, open_store
from schemas.errors import ConfigError
from schemas.events import Severity

WHOLE_ID: Final = re.compile(r"(?:^|-)[0-9a-f]{32}$")

SEVERITIES: Final = tuple(severity.value for severity in Severity)


def list_sessions(
    store: Store,
    *,
    since_us: int,
    until_us: int,
    limit: int,
    with_custody: bool = False,
    text: str = "",
    agent: str = "",
    principal: str = "",
    resource: str = "",
    run_id: str = "",
) -> list[dict[str, Any]]:
    """Sessions that lived in [since, until), newest first, with what happened in each. `text`: words of one statement.

    Raises QueryFailed, Unreachable.
    """
    parameters: dict[str, Any] = {
        "agent": agent,
        "principal": principal,
        "resource": resource,
        "run_id": run_id,
        "since": since_us,
        "until": until_us,
        "limit": limit,
        "with_custody": with_custody,
    }
    if text:
        found = store.rows(queries.SESSIONS_WITH_WORDS, parameters | {"text": text})
    else:
        found = store.rows(queries.SESSIONS, parameters)
    ids = [row["session_id"] for row in found]
    activity = {row["session_id"]: row for row in store.rows(queries.ACTIVITY, {"sessions": ids})} if ids else {}
    return [row | activity.get(row["session_id"], {}) for row in found]


def find_session(store: Store, prefix: str) -> dict[str, Any]:
    """The one session whose id begins so. Raises ConfigError for none or several."""
    ids = [row["session_id"] for row in store.rows(queries.SESSIONS_LIKE, {"prefix": prefix})]
    chosen = prefix if prefix in ids else ids[0] if len(ids) == 1 else ""
    if not chosen:
        raise ConfigError(
            f"several sessions begin with {prefix!r}" if ids else f"no session {prefix!r} is stored (yet)"
        )
    return store.one(queries.SESSION, {"session": chosen})


def complete_session(place: Place, text: str) -> str:
    """The whole id that `text` is, or is the beginning of; the store is asked for the latter only.

    What stops or keeps a session must name one that there is. Raises ConfigError for none or several, Unreachable.
    """
    if WHOLE_ID.search(text):
        return text
    with open_store(place) as store:
        return str(find_session(store, text)["session_id"])


def read_page(store: Store, session_id: str, after: int, limit: int) -> list[Row]:
    """Events of a session whose seq is above `after`, in order. Raises QueryFailed, Unreachable."""
    page = store.rows(queries.SESSION_EVENTS, {"session": session_id, "after": after, "limit": limit})
    return [row_from(record) for record in page]


def list_events(store: Store, parameters: dict[str, Any]) -> list[Row]:
    """Events by the filters of queries.EVENTS, newest first. Raises QueryFailed, Unreachable."""
    return [row_from(record) for record in store.rows(queries.EVENTS, parameters)]


def list_detections(
    store: Store,
    *,
    since_us: int,
    until_us: int,
    limit: int,
    severity: str = "info",
    agent: str = "",
    resource: str = "",
    rule: str = "",
) -> list[dict[str, Any]]:
    """Detections of at least this severity, newest first, each once. Raises QueryFailed, Unreachable."""
    parameters = {
        "agent": agent,
        "resource": resource,
        "rule": rule,
        "severities": list(SEVERITIES[SEVERITIES.index(severity) :]),
        "since": since_us,
        "until": until_us,
        "limit": limit,
    }
    return store.rows(queries.ALERTS, parameters)


def bounded(pieces: Iterable[bytes], limit: int, remedy: str) -> Iterator[bytes]:
    """Pieces, up to `limit` bytes. Raises ConfigError beyond, with what to do about it."""
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > limit:
            raise ConfigError(f"the answer is larger than {limit} bytes: {remedy}")
        yield piece
