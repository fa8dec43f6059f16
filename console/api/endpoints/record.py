"""Reading the record."""

import json
import re
from datetime import datetime
from typing import Any, Final

from console import reading
from console.api import models
from console.api.problems import Problem, not_found
from console.api.routing import Answer, Call, Services
from console.events import Row, as_document
from console.store import open_store
from schemas.errors import ConfigError
from schemas.events import EventKind

OWN_FORMAT: Final = re.compile(r"\bFORMAT\s+\w+\s*;?\s*$", re.IGNORECASE)
CURSOR_END: Final = (2**62, "￿", 0)
"""Before everything newer: the first page's cursor."""


def list_sessions(services: Services, call: Call) -> Answer:
    """GET /v1/sessions."""
    asked: models.SessionsQuery = call.query
    since, until = asked.bounds()
    with open_store(services.place) as store:
        found = reading.list_sessions(
            store,
            since_us=since,
            until_us=until,
            limit=asked.limit,
            with_custody=asked.custody,
            text=asked.text,
            agent=asked.agent,
            principal=asked.principal,
            resource=asked.resource,
            run_id=asked.run_id,
        )
    return Answer(models.Sessions(sessions=[models.Session.model_validate(row) for row in found]), len(found))


def replay(services: Services, call: Call) -> Answer:
    """GET /v1/sessions/{id}/events."""
    asked: models.ReplayQuery = call.query
    with open_store(services.place) as store:
        try:
            session = reading.find_session(store, call.path["id"])
        except ConfigError as error:
            raise not_found(str(error)) from None
        page = reading.read_page(store, session["session_id"], asked.after, asked.limit)
    is_closed = bool(page) and page[-1].kind == EventKind.SESSION_CLOSED
    return Answer(
        models.Replay(
            session=_session_from(session),
            events=[event_from(row) for row in page],
            next_after=page[-1].seq if len(page) == asked.limit and not is_closed else 0,
            is_closed=is_closed,
        ),
        len(page),
    )


def list_events(services: Services, call: Call) -> Answer:
    """GET /v1/events."""
    asked: models.EventsQuery = call.query
    since, until = asked.bounds()
    before, session_before, seq_before = read_cursor(asked.cursor)
    names = ("session", "agent", "principal", "resource", "run_id", "kind", "operation", "verdict", "text", "limit")
    parameters = {name: getattr(asked, name) for name in names} | {
        "with_custody": asked.custody,
        "since": since,
        "until": until,
        "before": before,
        "session_before": session_before,
        "seq_before": seq_before,
    }
    with open_store(services.place) as store:
        found = reading.list_events(store, parameters)
    following = make_cursor(found[-1]) if len(found) == asked.limit else ""
    return Answer(models.Events(events=[event_from(row) for row in found], next=following), len(found))


def list_detections(services: Services, call: Call) -> Answer:
    """GET /v1/detections."""
    asked: models.DetectionsQuery = call.query
    since, until = asked.bounds()
    with open_store(services.place) as store:
        found = reading.list_detections(
            store,
            since_us=since,
            until_us=until,
            limit=asked.limit,
            severity=asked.severity,
            agent=asked.agent,
            resource=asked.resource,
            rule=asked.rule,
        )
    rows = [models.Detection.model_validate(row) for row in found]
    return Answer(models.Detections(detections=rows), len(rows))


def run_sql(services: Services, call: Call) -> Answer:
    """POST /v1/query: the store's reader, which can do nothing but read the record."""
    statement = call.body.sql.strip().rstrip(";")
    if OWN_FORMAT.search(statement):
        raise Problem(400, "refused", "leave FORMAT out: the answer is JSON")
    limit = services.place.settings.api.max_result_bytes
    with open_store(services.place) as store:
        body = b"".join(reading.bounded(store.stream(statement, "JSONCompact"), limit, "add LIMIT"))
    try:
        document = json.loads(body)
        columns = [models.Column(name=column["name"], type=column["type"]) for column in document["meta"]]
        rows = list(document["data"])
    except (ValueError, KeyError, TypeError):
        raise Problem(400, "refused", "the statement gives no table") from None
    return Answer(models.SqlResult(columns=columns, rows=rows), len(rows))


def event_from(row: Row) -> models.Event:
    """A stored event as the API gives it."""
    return models.Event.model_validate(as_document(row))


def make_cursor(row: Row) -> str:
    """Where a page ended, as text for the next request."""
    return f"{_to_us(row.at)}.{row.seq}.{row.session_id}"


def read_cursor(text: str) -> tuple[int, str, int]:
    """(at in µs, session, seq) of a cursor; empty text: the newest. Raises Problem."""
    if not text:
        return CURSOR_END
    match = re.fullmatch(r"([0-9]{1,18})\.([0-9]{1,18})\.([\w.-]{1,200})", text)
    if match is None:
        raise Problem(400, "refused", "cursor is not the `next` of a page")
    return int(match[1]), match[3], int(match[2])


def _session_from(session: dict[str, Any]) -> models.SessionDetail:
    hops = [
        hop if isinstance(hop, dict) else {"actor": hop[0], "on_behalf_of": hop[1]} for hop in session["delegation"]
    ]
    return models.SessionDetail.model_validate(session | {"delegation": hops})


def _to_us(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)
