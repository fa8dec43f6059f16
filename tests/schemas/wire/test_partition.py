"""Appending to a partition: tickets rise, batches have a size, memory has a bound, and a batch is due once."""

import pytest

from schemas.errors import AuditUnavailable
from schemas.wire.partition import Flight, Partition


def make(max_batch_bytes: int = 1000, max_pending_bytes: int = 10_000) -> tuple[Partition, list[bool]]:
    due: list[bool] = []
    return Partition(3, lambda _, is_urgent: due.append(is_urgent), max_batch_bytes, max_pending_bytes), due


def append(partition: Partition, size: int = 10, *, is_urgent: bool = True) -> int:
    return partition.append("session", b"context", bytes(size), is_urgent)


def test_tickets_rise_by_one_and_a_batch_knows_its_last() -> None:
    partition, _ = make()
    assert [append(partition) for _ in range(3)] == [1, 2, 3]
    batch = partition.take_batch()
    assert (len(batch), batch.last_ticket, partition.sent, partition.pending_bytes) == (3, 3, 3, 0)
    assert append(partition) == 4
    assert partition.take_batch().last_ticket == 4
    with pytest.raises(IndexError):
        partition.take_batch()


def test_a_full_batch_is_followed_by_another() -> None:
    partition, _ = make(max_batch_bytes=100)
    for _ in range(5):
        append(partition, 40)
    assert [len(batch) for batch in partition.pending] == [2, 2, 1]
    assert partition.pending_bytes == sum(batch.size for batch in partition.pending)


def test_what_waits_is_bounded_and_what_is_refused_has_no_ticket() -> None:
    partition, _ = make(max_pending_bytes=100)
    append(partition, 60)
    with pytest.raises(AuditUnavailable):
        append(partition, 60)
    assert (partition.appended, len(partition.pending[0])) == (1, 1)
    partition.take_batch()
    assert append(partition, 60) == 2


def test_a_batch_is_due_only_while_none_is_on_its_way() -> None:
    partition, due = make()
    append(partition, is_urgent=False)
    append(partition)
    assert due == [False, True] and partition.urgent == 2
    partition.is_pump_due = True
    append(partition)
    partition.is_pump_due = False
    partition.flight = Flight(b"", 3, 0.0, False)
    append(partition)
    assert due == [False, True]
    partition.is_stalled = True  # then it may have to be spooled
    append(partition)
    assert due == [False, True, True]


def test_a_batch_gathers_while_more_is_about_to_come_than_waits() -> None:
    partition, _ = make()
    marks = [partition.outlook.expect() for _ in range(3)]
    assert not partition.is_gathering  # nothing is pending
    append(partition, is_urgent=False)
    assert partition.is_gathering
    for mark in marks[:2]:
        partition.outlook.meet(mark)
        append(partition)
    assert not partition.is_gathering
    partition.take_batch()
    append(partition, is_urgent=False)
    assert partition.is_gathering  # the third was expected before and still is


def test_a_second_batch_ends_the_gathering() -> None:
    partition, _ = make(max_batch_bytes=100)
    for _ in range(9):
        partition.outlook.expect()
    append(partition, 60)
    assert partition.is_gathering
    append(partition, 60)
    assert not partition.is_gathering
