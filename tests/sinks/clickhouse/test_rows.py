from collections.abc import Callable

from schemas.events import Event, EventKind, SessionEvent
from schemas.wire import framing
from sinks.clickhouse.client import StoreClient
from sinks.clickhouse.writer import EventWriter
from tests.sinks.batches import START_US, make_batch, make_event, make_gap, make_session
from tests.sinks.clickhouse.stored import as_batch


def test_a_row_holds_what_its_canonical_bytes_say(connect: Callable[[], StoreClient], log_id: str) -> None:
    client = connect()
    record = make_batch(2, 7, 3, log_id=log_id)
    record.sessions.append(make_session("other", delegation=[], attributes={}, source_port=-5))
    record.events.append(SessionEvent(1, Event(1, START_US, EventKind.AUDIT_GAP, rows=-3, payload=b"\x00\xff")))
    EventWriter(client).store_rows([as_batch(record)], "t-" + log_id, False)
    names = (
        "position, session_id, agent, statement, parameters, objects, rows, toUnixTimestamp64Micro(at), is_truncated"
    )
    names += ", masked, delegation, session_attributes, source_port, retention_class, hex(opening), hex(canonical)"
    names += ", payload_digest, hex(payload), kind, verdict, links, toUnixTimestamp64Micro(opened_at)"
    rows = client.query(
        f"SELECT {names} FROM custody.events WHERE log_id = {{log:String}} ORDER BY position", log=log_id
    )
    for row, item in zip(rows, record.events, strict=True):
        event, session = item.event, record.sessions[item.session]
        assert row[1:5] == (session.session_id, "planner", event.statement, list(event.parameters))
        assert row[5:9] == (list(event.objects), max(0, event.rows), event.at, False)
        assert [list(item.values()) for item in row[9]] == [[m.label, m.count, m.token, m.place] for m in event.masked]
        assert [item["actor"] for item in row[10]] == [hop.actor for hop in session.delegation]
        assert row[11:14] == (session.attributes, max(0, session.source_port), "standard")
        assert bytes.fromhex(row[14]) == event.opening.ljust(16, b"\x00")
        canonical = framing.decode_body("StoredEvent", bytes.fromhex(row[15]))
        assert canonical["event"]["seq"] == event.seq and canonical["session"]["session_id"] == session.session_id
        assert row[16:18] == (event.payload_digest.hex(), event.payload.hex().upper())
        assert row[18:] == (event.kind, event.verdict, event.links, session.opened_at)


def test_sessions_get_a_row_where_they_open_and_close(connect: Callable[[], StoreClient], log_id: str) -> None:
    client = connect()
    record = make_batch(0, 0, 0, log_id=log_id)
    closing = {"reason": "agent left", "events": "3", "actions": "1", "bytes.from_agent": "120", "bytes.bad": "x"}
    record.events = [
        SessionEvent(0, make_event(1, kind=EventKind.SESSION_OPENED)),
        SessionEvent(0, make_event(2)),
        SessionEvent(0, make_event(3, START_US + 9, kind=EventKind.SESSION_CLOSED, attributes=closing)),
    ]
    EventWriter(client).store_rows([as_batch(record)], "", False)
    names = "position, state, events, ledger, reason, agent"
    sql = f"SELECT {names} FROM custody.sessions WHERE log_id = {{log:String}} ORDER BY position"
    assert client.query(sql, log=log_id) == [
        (0, "opened", 0, {}, "", "planner"),
        (2, "closed", 3, {"from_agent": 120, "bad": 0}, "agent left", "planner"),
    ]


def test_a_dead_letter_is_a_row(connect: Callable[[], StoreClient], log_id: str) -> None:
    client = connect()
    EventWriter(client).store_rows([as_batch(make_gap(3, 9, log_id=log_id))], "", False)
    sql = "SELECT kind, attributes['reason'] FROM custody.events WHERE log_id = {log:String}"
    assert client.query(sql, log=log_id) == [("audit.gap", "undecodable")]
