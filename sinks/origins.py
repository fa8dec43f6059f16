"""Which batches a reader takes, and where it starts to look: pure decisions over origins.

Raw offsets are contiguous per partition: producers are idempotent but not transactional (no control markers), the raw
topic is not compacted, and mask derives exactly one batch from every raw record. So the next origin is always the last
one plus 1. The raw topic's trimmed beginning does not matter: origins are compared with the sink's own progress.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from schemas.errors import LogGap

SCAN_RECORDS: Final = 64
"""Bisecting stops this close to the goal; the rest is read and skipped."""


@dataclass(frozen=True, slots=True)
class Position:
    """The highest origin a sink has fully stored of one partition. `log_id` is the raw topic's id."""

    log_id: str
    offset: int


class Begin(Enum):
    """What a sink without progress in a partition may begin with."""

    COMPLETE = "complete"  # origin 0: the sink keeps the whole record
    EARLIEST = "earliest"  # whatever Kafka still has: the sink forwards from when it was switched on


@dataclass(frozen=True, slots=True)
class Found:
    """A record of the sessions topic: its offset there and the origin it carries."""

    at: int
    log_id: str
    offset: int


def is_next(partition: int, last: Position | None, log_id: str, offset: int, begin: Begin) -> bool:
    """Whether this origin is the one to take now; False for a repeat. Raises LogGap for a hole or another log."""
    if last is None:
        if offset and begin is Begin.COMPLETE:
            raise LogGap(f"sessions[{partition}] begins at origin {offset}: {offset} batches before it are gone")
        return True
    if log_id != last.log_id:
        raise LogGap(f"sessions[{partition}] holds log {log_id}, but progress is of log {last.log_id}")
    if offset <= last.offset:
        return False
    if offset > last.offset + 1:
        missing = f"{last.offset + 1} to {offset - 1}"
        raise LogGap(f"sessions[{partition}] goes on at origin {offset}: origins {missing} are missing")
    return True


def find_start(peek: Callable[[int], Found | None], low: int, high: int, last: Position) -> int:
    """An offset in [low, high] of the sessions topic at or before the first occurrence of the origin after `last`.

    `peek` gives the first record at or after an offset. Repeats make origins go back, so a record with an origin up to
    `last` does not prove that the wanted one lies behind it. But where offset minus origin is what it was at the first
    record, no repeat lies between, and then it does. A record with a higher origin always proves that it lies before.
    """
    first = peek(low)
    if first is None or first.log_id != last.log_id or first.offset > last.offset:
        return low
    start, skew = first.at, first.at - first.offset
    while high - start > SCAN_RECORDS:
        middle = (start + high) // 2
        found = peek(middle)
        if found is not None and found.log_id != last.log_id:
            found = None
        if found is not None and found.offset <= last.offset and found.at - found.offset == skew:
            start = found.at
        else:
            high = middle
    return start
