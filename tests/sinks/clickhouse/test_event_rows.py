"""Rows of `events`: what a batch says, whatever other batches stand beside it."""

import re
from collections.abc import Callable
from typing import Any

from schemas.events import Event, EventKind, Hop, Masked, SessionEvent
from sinks.clickhouse.client import StoreClient
from sinks.clickhouse.event_pieces import MAX_KNOWN
from sinks.clickhouse.event_rows import EventEncoder, EventRows
from sinks.clickhouse.migrate import read_migrations
from tests.sinks.batches import START_US, make_batch, make_event, make_gap, make_session
from tests.sinks.clickhouse.stored import as_batch, make


def odd_records(log_id: str) -> list[Any]:
    """Three partitions, several sessions, every array empty and filled, values beyond their column."""
    record = make_batch(1, 7, 3, log_id=log_id)
    record.batch_seq = -1
    record.sessions += [
        make_session("other", delegation=[], attributes={}, source_port=-5),
        make_session("third", delegation=[Hop("a", "b"), Hop("b", "c")], attributes={"a": "1", "b": "2"}, agent="ß"),
    ]
    masked = [Masked("card", -3, "t", "p"), Masked("iban", 2, "u", "q")]
    record.events += [
        SessionEvent(1, Event(1, START_US, EventKind.AUDIT_GAP, rows=-3, payload=b"\x00\xff", opening=b"short")),
        SessionEvent(2, make_event(2, parameters=[None, "", "x" * 200], objects=[], masked=masked, links={})),
        SessionEvent(2, make_event(3, is_truncated=True, status="", error="no\x00", statement="y" * 20_000)),
    ]
    return [make_batch(0, 0, 2, log_id=log_id), record, make_gap(2, 9, log_id=log_id)]


def odd_batches(log_id: str) -> list[Any]:
    return [as_batch(record) for record in odd_records(log_id)]


def read(client: StoreClient, log_id: str, names: str) -> list[tuple[Any, ...]]:
    sql = f"SELECT {names} FROM custody.events WHERE log_id = {{log:String}} ORDER BY partition, position"
    return client.query(sql, log=log_id)


def test_they_are_stored_as_they_are(connect: Callable[[], StoreClient], log_id: str) -> None:
    client = connect()
    client.insert("events", EventEncoder().encode(EventRows(odd_batches(log_id))))
    rows = read(client, log_id, "partition, offset, position, batch_seq, session_id, agent, source_port, rows")
    assert rows[2:5] == [(1, 7, n, 0, "s-1", "planner", 50123, 10) for n in range(3)]
    assert rows[5] == (1, 7, 3, 0, "other", "planner", 0, 0)
    assert [row[:6] for row in rows[6:]] == [
        (1, 7, 4, 0, "third", "ß"), (1, 7, 5, 0, "third", "ß"), (2, 9, 0, 0, "gap-2-9", ""),
    ]  # fmt: skip
    rows = read(
        client, log_id, "parameters, objects, masked, links, error, is_truncated, delegation, session_attributes"
    )
    assert rows[6][0] == [None, "", "x" * 200] and rows[6][1] == []
    assert [tuple(item.values()) for item in rows[6][2]] == [("card", 0, "t", "p"), ("iban", 2, "u", "q")]
    assert (rows[6][3], rows[7][4], rows[7][5], rows[6][5]) == ({}, "no\x00", True, False)
    assert [tuple(hop.values()) for hop in rows[7][6]] == [("a", "b"), ("b", "c")]
    assert (rows[7][7], rows[5][7], rows[5][6]) == ({"a": "1", "b": "2"}, {}, [])
    (opening, size), *_ = client.query(
        "SELECT hex(opening), length(statement) FROM custody.events WHERE log_id = {log:String} AND is_truncated",
        log=log_id,
    )
    assert (len(opening), size) == (32, 20_000)


def test_chosen_rows_are_those_rows(connect: Callable[[], StoreClient], log_id: str) -> None:
    client, encoder = connect(), EventEncoder()
    rows = EventRows(odd_batches(log_id))
    everything = list(rows.coordinates())
    assert len(rows) == len(everything) == 9
    chosen = [1, 2, 6, 8]
    picked = rows.pick(chosen)
    assert list(picked.coordinates()) == [everything[i] for i in chosen]
    client.insert("events", encoder.encode(picked))
    client.insert("events", encoder.encode(rows.pick([i for i in range(9) if i not in chosen])))
    names = "* EXCEPT (log_id, opening, canonical), hex(opening), hex(canonical)"
    apart = read(client, log_id, names)
    other = log_id + "-whole"
    client.insert("events", encoder.encode(EventRows(odd_batches(other))))
    assert apart == read(client, other, names) and len(apart) == 9


def test_every_column_of_the_table_is_sent() -> None:
    ddl = read_migrations()[0].text
    columns = re.findall(r"^    (\w+) +\S.* COMMENT '", ddl, re.MULTILINE)
    assert sorted(EventEncoder().encode(EventRows(make("log", 0, [0]))).names) == sorted(columns)


def test_what_is_remembered_is_bounded() -> None:
    encoder = EventEncoder()
    for start in range(0, MAX_KNOWN + 900, 500):
        record = make_batch(0, 0, 0)
        record.events = [SessionEvent(0, make_event(n, attributes={"n": str(n)})) for n in range(start, start + 500)]
        encoder.encode(EventRows([as_batch(record)]))
    assert 0 < len(encoder._maps) <= MAX_KNOWN
