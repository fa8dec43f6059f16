"""Stores ranges of a log exactly once: intent, insert, progress; and compare, when in doubt.

Progress says what is fully stored. Before an INSERT its ranges (partition, from the progress to the last origin) are
written down as *intent*, and its deduplication token follows from them. So a process that was killed leaves at most
one INSERT in doubt, and its successor knows exactly which: it reads those ranges again, asks the store which of their
rows it has (an INSERT over several store partitions is several commits), and writes the missing ones under the same
token. The token settles what asking cannot: an INSERT of the dead process that the store is still carrying out.

Progress of one write and the intent of the next travel in one INSERT, so a busy sink pays for two, not three.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sinks.clickhouse.progress import ProgressLedger
from sinks.origins import Position

RECOVERY_WAIT_S: Final = 30.0
"""So long the ranges of an INSERT in doubt are waited for, should a partition of them have stopped."""

_log = logging.getLogger(__name__)


class Item(Protocol):
    """Something with coordinates: a Batch or a Record."""

    @property
    def log_id(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Range:
    """Origins `first` to `last` of one partition."""

    log_id: str
    first: int
    last: int


Ranges = Mapping[int, Range]
StoreRows = Callable[[Sequence[Any], str, bool], None]
"""(items, token, is_in_doubt): insert the rows of the items; when in doubt only those that the store does not have."""
FindEnds = Callable[[int], Mapping[tuple[str, int], int]]
"""(first offset) -> the highest offset stored at all, by log and partition: up to there everything is in doubt."""


def ranges_of(items: Sequence[Item]) -> dict[int, Range]:
    """What the items cover, by partition; in each they are in order."""
    ranges: dict[int, Range] = {}
    for item in items:
        first = ranges[item.partition].first if item.partition in ranges else item.offset
        ranges[item.partition] = Range(item.log_id, first, item.offset)
    return ranges


def make_token(ranges: Ranges) -> str:
    """The deduplication token of an INSERT of exactly these ranges."""
    text = ",".join(f"{r.log_id}/{partition}:{r.first}-{r.last}" for partition, r in sorted(ranges.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:40]


class RangeWriter:
    """Writes one log's items through `store_rows`. Progress and intents are kept in `ledger`."""

    def __init__(self, ledger: ProgressLedger, store_rows: StoreRows, find_ends: FindEnds = lambda first: {}) -> None:
        self.progress: dict[int, Position] = {}
        self._ledger = ledger
        self._store_rows = store_rows
        self._find_ends = find_ends
        self._ends: Mapping[tuple[str, int], int] = {}
        self._unsaved: dict[int, Position] = {}
        self._doubtful: Ranges = {}  # intent without progress, left by a predecessor
        self._attempted: Ranges = {}  # intent of the INSERT this process is at
        self._held: list[Any] = []
        self._held_until = 0.0

    def load(self) -> dict[int, Position]:
        """Progress from the store, and what is in doubt. Raises Unreachable."""
        progress = self._ledger.read()
        intents = self._ledger.read_intents()
        self.progress, self._unsaved, self._attempted, self._held = dict(progress), {}, {}, []
        self._ends = self._find_ends(min((position.offset + 1 for position in progress.values()), default=0))
        self._doubtful = {}
        for partition, intent in intents.items():
            stored = progress.get(partition)
            if stored is None:
                first = 0
            elif stored.log_id == intent.log_id:
                first = stored.offset + 1
            else:
                continue
            if intent.offset >= first:
                self._doubtful[partition] = Range(intent.log_id, first, intent.offset)
        if self._doubtful:
            _log.info("%s: an insert is in doubt: %s", self._ledger.name, self._doubtful)
            self._held_until = time.monotonic() + RECOVERY_WAIT_S
        return progress

    def write(self, items: Sequence[Any]) -> None:
        """Store items; after Unreachable the same items may come again."""
        if not self._doubtful:
            self._write_ranges(items, is_in_doubt=False)
            return
        held = [*self._held, *items]
        if not self._is_complete(held) and time.monotonic() < self._held_until:
            self._held = held
            return
        self._recover(held)

    def work(self) -> None:
        """Give up waiting for ranges in doubt after a while. Raises Unreachable."""
        if self._doubtful and self._held and time.monotonic() >= self._held_until:
            self._recover(self._held)

    def save(self) -> None:
        """Write down the progress that is not yet. Raises Unreachable."""
        self._ledger.write(self._unsaved)
        self._unsaved = {}

    @property
    def is_settled(self) -> bool:
        """Whether all that was given to `write` is stored and its progress saved."""
        return not self._unsaved and not self._held and not self._attempted

    def _is_complete(self, held: Sequence[Item]) -> bool:
        reached = ranges_of(held)
        return all(
            partition in reached and reached[partition].last >= doubtful.last
            for partition, doubtful in self._doubtful.items()
        )

    def _recover(self, held: Sequence[Item]) -> None:
        """First what is in doubt, compared and under its own token, then the rest."""
        doubtful = [item for item in held if self._is_doubtful(item)]
        rest = [item for item in held if not self._is_doubtful(item)]
        if doubtful:
            self._write_ranges(doubtful, is_in_doubt=True)
        if rest:
            self._write_ranges(rest, is_in_doubt=True)
        self._doubtful, self._held = {}, []

    def _is_doubtful(self, item: Item) -> bool:
        doubtful = self._doubtful.get(item.partition)
        return doubtful is not None and item.offset <= doubtful.last

    def _write_ranges(self, items: Sequence[Item], *, is_in_doubt: bool) -> None:
        ranges = ranges_of(items)
        is_repeated = ranges == self._attempted
        is_in_doubt |= any(r.first <= self._ends.get((r.log_id, p), -1) for p, r in ranges.items())
        if not is_repeated and not self._is_intended(ranges):
            self._ledger.write(self._unsaved, {p: Position(r.log_id, r.last) for p, r in ranges.items()})
            self._unsaved = {}
        self._attempted = ranges
        self._store_rows(items, make_token(ranges), is_in_doubt or is_repeated)
        self._attempted = {}
        reached = {partition: Position(range_.log_id, range_.last) for partition, range_ in ranges.items()}
        self.progress |= reached
        self._unsaved |= reached

    def _is_intended(self, ranges: Ranges) -> bool:
        return ranges == self._doubtful
