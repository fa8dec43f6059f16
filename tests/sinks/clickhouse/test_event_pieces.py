"""Batches that come encoded give the blocks and rows that their columns would give."""

from typing import Any

import pytest

from schemas.errors import RecordError
from schemas.events import EventKind, SessionEvent
from schemas.wire import framing
from sinks.clickhouse.event_pieces import EVENT_COLUMNS, EncodedBatch, PieceEncoder, as_items, as_words
from sinks.clickhouse.event_rows import EventEncoder, EventRows
from sinks.clickhouse.rows import session_rows
from sinks.columns import COLUMNS, decode_batch
from sinks.reader import Batch
from tests.sinks.batches import make_batch, make_event, make_gap, make_session
from tests.sinks.clickhouse.test_event_rows import odd_records

DAY_US = 86_400_000_000


def as_encoded(record: Any, encoder: PieceEncoder) -> Batch[EncodedBatch]:
    data, origin = framing.encode(record), record.origin
    return Batch(origin.log_id, origin.partition, origin.offset, origin.offset, len(data), encoder.decode(data))


def as_read(record: Any) -> Batch[Any]:
    data, origin = framing.encode(record), record.origin
    return Batch(origin.log_id, origin.partition, origin.offset, origin.offset, len(data), decode_batch(data))


def wordy(partition: int, offset: int, first: int, count: int) -> Any:
    """A batch whose events have as many fingerprints as events, of as many sessions."""
    record = make_batch(partition, offset, 0)
    record.sessions = [make_session(f"s-{n}", agent=f"a-{n % 3}") for n in range(first, first + count)]
    record.events = [
        SessionEvent(n, make_event(n + 1, fingerprint=f"f-{first + n}", links={"n": str(n)})) for n in range(count)
    ]
    return record


def records() -> list[Any]:
    opened = make_batch(0, 1, 4)
    opened.events[1].event.kind = EventKind.SESSION_OPENED.value
    many = [wordy(3, 0, 0, 200), wordy(3, 1, 150, 300), make_batch(3, 2, 0), wordy(3, 3, 0, 2)]
    return [*odd_records("log"), opened, *many, make_gap(4, 0)]


def test_the_block_is_that_of_the_columns() -> None:
    encoder = PieceEncoder()
    for chosen in (records(), records()[:1], odd_records("log"), [make_batch(0, 0, 0)], []):
        encoded = EventRows([as_encoded(record, encoder) for record in chosen])
        read = EventRows([as_read(record) for record in chosen])
        assert len(encoded) == len(read)
        assert list(encoded.coordinates()) == list(read.coordinates())
        assert encoded.partitions() == read.partitions() if len(read) else True
        assert EventEncoder().encode(encoded) == EventEncoder().encode(read)


def test_chosen_rows_are_those_of_the_columns() -> None:
    encoder = PieceEncoder()
    encoded = EventRows([as_encoded(record, encoder) for record in records()])
    read = EventRows([as_read(record) for record in records()])
    for chosen in (range(0, len(read), 3), [0], [len(read) - 1], range(len(read)), range(2, 7)):
        mine, other = encoded.pick(chosen), read.pick(chosen)
        assert list(mine.coordinates()) == list(other.coordinates())
        assert EventEncoder().encode(mine) == EventEncoder().encode(other)
        again = mine.pick(range(0, len(chosen), 2))
        assert EventEncoder().encode(again) == EventEncoder().encode(other.pick(range(0, len(chosen), 2)))


def test_rows_of_several_days_tell_their_partitions() -> None:
    days = [make_batch(0, 0, 6, day_step=DAY_US // 2)]
    encoder = PieceEncoder()
    found = EventRows([as_encoded(record, encoder) for record in days]).partitions()
    assert found == EventRows([as_read(record) for record in days]).partitions()
    assert len(found) == 6 and len(set(found)) == 4


def test_sessions_are_those_of_the_columns() -> None:
    encoder = PieceEncoder()
    assert session_rows([as_encoded(record, encoder) for record in records()]) == session_rows(
        [as_read(record) for record in records()]
    )


def test_it_says_what_it_holds() -> None:
    record = make_batch(2, 5, 3)
    data = framing.encode(record)
    encoded, read = PieceEncoder().decode(data), decode_batch(data)
    assert len(encoded) == len(read) == 3 and len(encoded.pieces) == len(EVENT_COLUMNS)
    assert set(encoded.kinds) == set(read.kinds)
    assert (encoded.proxy_epoch, encoded.batch_seq, encoded.contexts) == (
        read.proxy_epoch,
        read.batch_seq,
        read.contexts,
    )
    assert (encoded.first_at, encoded.last_at) == (min(read.columns.ats), max(read.columns.ats))
    again = encoded.decode().columns
    assert all(getattr(again, name) == getattr(read.columns, name) for name in COLUMNS)


def test_what_is_no_batch_is_refused() -> None:
    data = framing.encode(make_batch(0, 0, 2))
    for end in range(len(data)):
        with pytest.raises(RecordError):
            PieceEncoder().decode(data[:end])


def test_words_and_items() -> None:
    words = as_words([b"b", b"a", b"b"])
    assert (list(words.keys), list(words.index)) == ([b"b", b"a"], [0, 1, 0])
    items = as_items([(0, (b"", b"")), (2, (b"xy", b"pq")), (1, (b"z", b"r"))], 2)
    assert (list(items.counts), list(items.parts)) == ([0, 2, 1], [b"xyz", b"pqr"])
