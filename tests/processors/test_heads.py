"""Both ways of knowing a batch agree: by its headers, and by decoding it."""

import pytest

from processors.facts_of import facts_of
from processors.heads import headers_of, read_facts, read_head
from processors.retention.slices import read_slices, slices_of
from schemas.errors import RecordError
from schemas.events import DeadLetter, EventBatch, Origin, SessionEvent
from schemas.wire import framing
from tests.processors.pipeline import make_context, make_event

ORIGIN = Origin("log", 2, 9)


def batch() -> EventBatch:
    made = EventBatch("p", "e", 3, ORIGIN, sessions=[make_context("s", agent="a"), make_context("t", agent="é/b")])
    made.events = [
        SessionEvent(1, make_event(1, "action.completed", rows=7)),
        SessionEvent(0, make_event(2, "action.decided", verdict="deny")),
        SessionEvent(0, make_event(3, "data.sent")),
    ]
    return made


def headers(made: EventBatch, room: int) -> list[tuple[str, bytes]] | None:
    fields = framing.batch_fields(made)
    return headers_of(slices_of(fields), facts_of(fields), b"[1]", ORIGIN, room)


def test_headers_say_what_decoding_says() -> None:
    made = batch()
    value = framing.encode(made)
    found = headers(made, 1 << 20)
    assert found is not None
    assert read_facts(value, dict(found)) == read_facts(value, {})
    assert list(read_facts(value, dict(found))[1]) == ["é/b", "a"]
    assert read_slices(value, dict(found)) == read_slices(value, {})


def test_headers_that_do_not_fit_are_left_out() -> None:
    assert headers(batch(), 100) is None


def test_the_first_fields() -> None:
    head = read_head(framing.encode(batch()))
    assert (head["origin"], head["proxy_epoch"], head["batch_seq"]) == (vars(ORIGIN), "e", 3)


def test_what_is_no_batch_is_refused() -> None:
    other = framing.encode(DeadLetter(ORIGIN, "s", "r", b"", 1))
    without_origin = framing.encode(EventBatch("p", "e", 0))
    for value in (other, without_origin, framing.prefix_of("EventBatch") + b"\x02", b""):
        with pytest.raises(RecordError):
            read_facts(value, {})
        with pytest.raises(RecordError):
            read_facts(value, {"custody-slices": b""})
