"""Ranges against the real store: what is written, what a successor finds, what it adds."""

from collections.abc import Callable
from typing import Any

import pytest

from schemas.errors import Unreachable
from schemas.events import EventKind
from sinks.clickhouse.client import StoreClient
from sinks.clickhouse.event_rows import EventEncoder, EventRows
from sinks.clickhouse.ranges import make_token, ranges_of
from sinks.clickhouse.writer import EventWriter
from sinks.origins import Position
from tests.sinks.batches import DAY_US, make_batch
from tests.sinks.clickhouse.stored import as_batch, die_after, expected, make, open_writer, stored


def test_progress_follows_the_write(connect: Callable[[], StoreClient], log_id: str) -> None:
    client = connect()
    writer, _ = open_writer(client, f"sink-{log_id}")
    assert writer.load() == {}
    writer.write(make(log_id, 0, range(3)) + make(log_id, 1, range(2)))
    assert not writer.is_settled
    writer.save()
    assert writer.is_settled
    assert open_writer(client, f"sink-{log_id}")[0].load() == {0: Position(log_id, 2), 1: Position(log_id, 1)}
    assert stored(client, log_id) == expected({0: range(3), 1: range(2)})


@pytest.mark.parametrize("inserts", [0, 1, 2, 3])
def test_killed_between_any_two_inserts(connect: Callable[[], StoreClient], log_id: str, inserts: int) -> None:
    """0: before the intent, 1: before the events, 2: before the sessions, 3: before the progress."""
    name, client = f"sink-{log_id}", connect()
    batches = [as_batch(_opening(log_id)), *make(log_id, 0, range(1, 4))]
    die_after(client, inserts)
    writer, _ = open_writer(client, name)
    writer.load()
    with pytest.raises(KeyboardInterrupt):
        writer.write(batches)
        writer.save()
    client = connect()
    writer, events = open_writer(client, name)
    assert writer.load() == {}
    writer.write(batches[:2])  # what it reads need not come in the same portions
    writer.write(batches[2:] + make(log_id, 0, range(4, 6)))
    writer.save()
    assert stored(client, log_id) == expected({0: range(6)})
    assert len(stored(client, log_id, "sessions")) == 1
    assert bool(events.spared) == (inserts >= 2)
    assert open_writer(connect(), name)[0].load() == {0: Position(log_id, 5)}


def _opening(log_id: str) -> Any:
    record = make_batch(0, 0, log_id=log_id)
    record.events[0].event.kind = EventKind.SESSION_OPENED
    return record


@pytest.mark.parametrize("day", [0, 1, 2])
def test_killed_between_two_partitions_of_one_insert(connect: Callable[[], StoreClient], log_id: str, day: int) -> None:
    """One INSERT over three days is three commits: only the rows of `day` were stored when the store was killed."""
    name, client = f"sink-{log_id}", connect()
    batches = make(log_id, 0, range(4), events=6, day_step=DAY_US // 2)
    die_after(client, 1)
    writer, _ = open_writer(client, name)
    writer.load()
    with pytest.raises(KeyboardInterrupt):
        writer.write(batches)
    client = connect()
    rows = EventRows(batches)
    days = [at for _, at in rows.partitions()]
    chosen = [i for i, at in enumerate(days) if at == min(days) + day]
    client.insert("events", EventEncoder().encode(rows.pick(chosen)), make_token(ranges_of(batches)))
    assert 0 < len(stored(client, log_id)) < 24
    writer, events = open_writer(client, name)
    writer.load()
    writer.write(batches)
    assert stored(client, log_id) == expected({0: range(4)}, 6)
    assert events.spared == len(chosen)


def test_an_insert_that_the_store_carries_out_late_adds_nothing(
    connect: Callable[[], StoreClient], log_id: str
) -> None:
    """The dead process's INSERT lands after its successor compared: the token makes them one."""
    name, client = f"sink-{log_id}", connect()
    batches = make(log_id, 0, range(3))
    die_after(client, 1)
    writer, _ = open_writer(client, name)
    writer.load()
    with pytest.raises(KeyboardInterrupt):
        writer.write(batches)
    client = connect()
    writer, _ = open_writer(client, name)
    writer.load()
    writer.write(batches + make(log_id, 0, range(3, 5)))
    client.insert("events", EventEncoder().encode(EventRows(batches)), make_token(ranges_of(batches)))
    assert stored(client, log_id) == expected({0: range(5)})


def test_an_answer_lost_on_its_way_is_settled_by_the_retry(connect: Callable[[], StoreClient], log_id: str) -> None:
    client = connect()
    writer, events = open_writer(client, f"sink-{log_id}")
    writer.load()
    insert = client.insert

    def lose_answer(table: str, *args: Any) -> None:
        insert(table, *args)
        if table == "events":
            client.insert = insert  # type: ignore[method-assign]
            raise Unreachable("the answer is lost")

    client.insert = lose_answer  # type: ignore[method-assign]
    batches = make(log_id, 0, range(2))
    with pytest.raises(Unreachable):
        writer.write(batches)
    writer.write(batches)
    assert stored(client, log_id) == expected({0: range(2)}) and events.spared == 10


def test_rows_found_without_intent_are_compared_too(connect: Callable[[], StoreClient], log_id: str) -> None:
    """Progress restored from an older backup: the stored rows themselves say what is in doubt."""
    client = connect()
    EventWriter(client).store_rows(make(log_id, 0, range(3)), "another", False)
    writer, _ = open_writer(client, f"sink-{log_id}")
    writer.load()
    writer.write(make(log_id, 0, range(6)))
    assert stored(client, log_id) == expected({0: range(6)})


def test_a_partition_that_stopped_in_doubt_does_not_hold_the_others(
    connect: Callable[[], StoreClient], log_id: str
) -> None:
    name, client = f"sink-{log_id}", connect()
    die_after(client, 1)
    writer, _ = open_writer(client, name)
    writer.load()
    with pytest.raises(KeyboardInterrupt):
        writer.write(make(log_id, 0, range(2)) + make(log_id, 1, range(2)))
    client = connect()
    writer, _ = open_writer(client, name)
    writer.load()
    writer.write(make(log_id, 1, range(3)))
    assert stored(client, log_id) == []
    writer._held_until = 0.0
    writer.work()
    assert stored(client, log_id) == expected({1: range(3)})
    writer.write(make(log_id, 0, range(2)))
    assert stored(client, log_id) == expected({0: range(2), 1: range(3)})
