from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import RecordError
from schemas.events import EventBatch, Hop, Masked, SessionEvent
from schemas.wire import framing
from sinks.columns import Columns, decode_batch, decode_origin
from sinks.regions import read_map, read_masked, read_outcome, read_shape
from tests.sinks.batches import START_US, make_batch, make_event, make_gap, make_session


def as_text(value: Any) -> Any:
    """Bytes as str, the way the generic reader gives strings."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, dict):
        return {as_text(key): as_text(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_text(item) for item in value]
    return value


def expand(columns: Columns) -> dict[str, list[Any]]:
    """Field name -> one value an event, as the general reader has them."""
    shapes, outcomes = list(map(read_shape, columns.shapes)), list(map(read_outcome, columns.outcomes))
    names = ("label", "count", "token", "place")
    return {
        "seq": columns.seqs, "at": columns.ats, "kind": columns.kinds, "action_id": columns.action_ids,
        "statement": columns.statements, "fingerprint": [shape.fingerprint for shape in shapes],
        "parameters": [shape.parameters for shape in shapes], "operation": [shape.operation for shape in shapes],
        "objects": [shape.objects for shape in shapes], "verdict": columns.verdicts,
        "status": [status for status, _ in outcomes], "error": [error for _, error in outcomes],
        "rows": columns.rows, "bytes": columns.bytes, "duration_us": columns.durations,
        "attributes": list(map(read_map, columns.attributes)), "payload": columns.payloads,
        "payload_type": columns.payload_types, "payload_bytes": columns.payload_bytes,
        "payload_digest": columns.payload_digests, "is_truncated": [value == 1 for value in columns.truncated],
        "masked": [[dict(zip(names, item, strict=True)) for item in read_masked(m)] for m in columns.masked],
        "links": list(map(read_map, columns.links)), "opening": columns.openings,
    }  # fmt: skip


def test_every_field_and_version_is_read() -> None:
    assert framing.versions_of("EventBatch") == [framing.CURRENT["EventBatch"]] == [1]
    item = next(field for field in framing.load_avsc("EventBatch")["fields"] if field["name"] == "events")
    names = [field["name"] for field in item["type"]["items"]["fields"][1]["type"]["fields"]]
    assert list(expand(decode_batch(framing.encode(make_batch(0, 0))).columns)) == names


def assert_same(batch: EventBatch) -> None:
    data = framing.encode(batch)
    _, fields = framing.decode_fields(data)
    decoded = decode_batch(data)
    assert decoded.origin == (tuple(fields["origin"].values()) if fields["origin"] else None)
    assert (decoded.proxy_id, decoded.proxy_epoch, decoded.batch_seq, decoded.rule_version) == (
        batch.proxy_id, batch.proxy_epoch, batch.batch_seq, batch.rule_version,
    )  # fmt: skip
    assert as_text(decoded.sessions) == as_text(fields["sessions"])
    assert decoded.columns.sessions == [item["session"] for item in fields["events"]]
    for name, column in expand(decoded.columns).items():
        assert as_text(column) == as_text([item["event"][name] for item in fields["events"]]), name
    for item, canonical in zip(fields["events"], decoded.columns.canonical, strict=True):
        stored = framing.decode_body("StoredEvent", canonical)
        assert stored["schema_fingerprint"] == data[2:10]
        assert stored["session"] == fields["sessions"][item["session"]]
        assert stored["event"] == {**item["event"], "opening": b""}


def test_columns_equal_the_generic_reader() -> None:
    batch = make_batch(1, 7, 40)
    batch.sessions.append(make_session("s-2", delegation=[], attributes={}))
    batch.events.append(SessionEvent(1, make_event(1, parameters=[], masked=[], attributes={}, links={}, opening=b"")))
    assert_same(batch)
    assert_same(make_gap(0, 0))
    assert_same(replace(make_batch(0, 0, 0), sessions=[]))


def test_lengths_and_numbers_of_every_size() -> None:
    batch = make_batch(0, 0, 0)
    for exponent in range(0, 63, 3):
        number = 1 << exponent
        changes = {"at": number, "rows": -number, "bytes": number - 1, "statement": "x" * min(number, 40_000)}
        batch.events.append(SessionEvent(0, make_event(exponent + 1, **changes)))
    assert_same(batch)


@given(
    st.lists(st.integers(-(1 << 56), 1 << 56) | st.integers(START_US - (1 << 29), START_US + (1 << 29)), max_size=20)
)
def test_times_whatever_came_before(times: list[int]) -> None:
    batch = make_batch(0, 0, 0)
    batch.events = [SessionEvent(0, make_event(1, at)) for at in times]
    assert decode_batch(framing.encode(batch)).columns.ats == times


texts = st.text(max_size=80)
maps = st.dictionaries(texts, texts, max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_batch(data: st.DataObject) -> None:
    session = make_session(
        data.draw(texts), delegation=[Hop(data.draw(texts), data.draw(texts))], attributes=data.draw(maps)
    )
    event = make_event(
        data.draw(st.integers(-(2**63), 2**63 - 1)),
        statement=data.draw(texts),
        parameters=data.draw(st.lists(st.none() | texts, max_size=4)),
        objects=data.draw(st.lists(texts, max_size=4)),
        attributes=data.draw(maps),
        payload=data.draw(st.binary(max_size=300)),
        masked=[Masked(data.draw(texts), 3, data.draw(texts))],
        is_truncated=data.draw(st.booleans()),
        opening=data.draw(st.binary(max_size=16)),
    )
    assert_same(replace(make_batch(0, 0, 0), sessions=[session], events=[SessionEvent(0, event)]))


def test_origin_alone() -> None:
    assert decode_origin(framing.encode(make_batch(3, 99))) == ("raw-log-1", 3, 99)
    with pytest.raises(RecordError, match="without origin"):
        decode_origin(framing.encode(replace(make_batch(0, 0), origin=None)))


def test_cut_at_every_byte() -> None:
    data = framing.encode(make_batch(0, 0, 2))
    for size in range(len(data)):
        with pytest.raises(RecordError):
            decode_batch(data[:size])
    with pytest.raises(RecordError, match="after the end"):
        decode_batch(data + b"\x00")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_hostile_bytes_are_an_error_or_a_batch(data: st.DataObject) -> None:
    record = bytearray(framing.encode(make_batch(0, 0, 2)))
    for _ in range(data.draw(st.integers(1, 6))):
        record[data.draw(st.integers(10, len(record) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode_batch(bytes(record))
    except RecordError:
        pass


def test_other_records_are_refused() -> None:
    with pytest.raises(RecordError):
        decode_batch(b"")
    with pytest.raises(RecordError, match="registry"):
        decode_batch(b"\x00\x00\x00\x00\x01body")
    with pytest.raises(RecordError, match="unknown schema fingerprint"):
        decode_batch(b"\xc3\x01" + bytes(8))


class OneSchema:
    """A registry that knows a single schema."""

    def __init__(self) -> None:
        self.schema = ""

    def id_of(self, record: str, schema_json: str) -> int:
        self.schema = schema_json
        return 5

    def schema_of(self, schema_id: int) -> str:
        return self.schema


def test_confluent_framing_gives_the_same() -> None:
    registry = OneSchema()
    batch = make_batch(0, 4)
    framed = framing.encode(batch, registry)
    assert framed[0] == 0
    found, expected = decode_batch(framed, registry), decode_batch(framing.encode(batch))
    assert expand(found.columns) == expand(expected.columns) and found.sessions == expected.sessions
    assert (found.origin, found.columns.canonical) == (expected.origin, expected.columns.canonical)
    assert decode_origin(framed, registry) == ("raw-log-1", 0, 4)
