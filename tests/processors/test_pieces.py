"""A batch read event by event and written again is the batch, whatever was changed in between."""

import pytest

from processors.pieces import read_batch, write_batch
from schemas.errors import RecordError
from schemas.events import Event, EventBatch, Masked, SessionEvent
from schemas.wire import framing
from schemas.wire.avro import zigzag
from tests.processors.pipeline import make_context, make_event


def encoded(*events: Event) -> bytes:
    batch = EventBatch("p", "e", 7, sessions=[make_context("s1"), make_context("s2")])
    batch.events = [SessionEvent(index % 2, event) for index, event in enumerate(events)]
    return framing.encode_body("EventBatch", framing.batch_fields(batch))


PLAIN = encoded(
    make_event(1, statement="select 1", parameters=["a", None], attributes={"kind": "query"}, payload=b"x" * 9000),
    make_event(2, masked=[Masked("card", 1, "t", "statement")], verdict="deny", links={"trace": "1"}),
    make_event(3, statement="ß" * 100, rows=1 << 60),
)


@pytest.mark.parametrize("plain", [PLAIN, encoded(make_event(1)), encoded()])
def test_reads_what_the_general_reader_reads(plain: bytes) -> None:
    fields, positions = read_batch(plain)
    assert fields == framing.decode_body("EventBatch", plain)
    assert len(positions) == len(fields["events"]) + 1
    assert write_batch(fields, (), plain, positions) == plain


@pytest.mark.parametrize("changed", [(), (0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_only_changed_events_are_encoded(changed: tuple[int, ...]) -> None:
    fields, positions = read_batch(PLAIN)
    for index in changed:
        fields["events"][index]["event"]["statement"] = "***"
    fields["rule_version"] = "r1"
    assert write_batch(fields, changed, PLAIN, positions) == framing.encode_body("EventBatch", fields)


def test_events_added_behind_are_written() -> None:
    fields, positions = read_batch(PLAIN)
    fields["events"].append({"session": 1, "event": framing.event_fields(make_event(4, statement="added"))})
    assert write_batch(fields, (), PLAIN, positions) == framing.encode_body("EventBatch", fields)


def test_a_batch_in_several_blocks_is_read_and_written_whole() -> None:
    fields, positions = read_batch(PLAIN)
    start, first, end = positions[0], positions[1], positions[-1]
    head = PLAIN[: start - 1]
    blocks = head + zigzag(1) + PLAIN[start:first] + zigzag(-2) + zigzag(end - first) + PLAIN[first:end] + b"\x00"
    again, none = read_batch(blocks)
    assert (again, none) == (fields, ())
    assert write_batch(again, (), blocks, none) == PLAIN


def test_anything_else_is_refused() -> None:
    for end in range(len(PLAIN) - 1, 0, -97):
        with pytest.raises(RecordError):
            read_batch(PLAIN[:end])
    for junk in (b"", b"\x00", b"\xff" * 40, PLAIN + b"\x00", PLAIN[:-1] + b"\x02"):
        with pytest.raises(RecordError):
            read_batch(junk)
