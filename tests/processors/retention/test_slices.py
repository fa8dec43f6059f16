"""The slices of a batch, by header and by decoding."""

import pytest

from processors.retention.calendar import Slice
from processors.retention.slices import HEADER, from_header, read_slices, slices_of, to_header
from schemas.errors import RecordError
from schemas.events import DeadLetter, Event, EventBatch, Origin, SessionContext, SessionEvent
from schemas.wire import framing

DAY = 86_400_000_000
BATCH = EventBatch(
    "p",
    "e",
    0,
    Origin("log", 0, 0),
    sessions=[SessionContext("s", "ann", "planner"), SessionContext("t", "ann", "planner", retention_class="short")],
    events=[
        SessionEvent(0, Event(1, DAY, "x")),
        SessionEvent(1, Event(1, 2 * DAY - 1, "x")),
        SessionEvent(1, Event(2, 2 * DAY, "x")),
    ],
)
SLICES = {Slice("standard", "1970-01-02"), Slice("short", "1970-01-02"), Slice("short", "1970-01-03")}


def test_both_ways_agree() -> None:
    value = framing.encode(BATCH)
    assert slices_of(framing.batch_fields(BATCH)) == SLICES
    assert read_slices(value, {}) == SLICES
    assert read_slices(value, {HEADER: to_header(SLICES)}) == SLICES
    assert from_header(to_header({Slice("a/b", "2026-01-01")})) == {Slice("a/b", "2026-01-01")}
    assert from_header(b"") == set()


def test_what_is_no_batch_is_refused() -> None:
    with pytest.raises(RecordError):
        from_header(b"\xff/2026-01-01")
    with pytest.raises(RecordError):
        read_slices(framing.encode(DeadLetter(Origin("l", 0, 0), "s", "r", b"", 1)), {})
