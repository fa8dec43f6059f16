"""Which batches of which proxy epoch one partition has already given: duplicates are told from late arrivals.

Batches count from 0 per proxy epoch and partition. They come in order but for a spool drain or a producer that failed
for good, so per epoch the next number and the few ranges missing below it say everything. Pure and bounded.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final, Literal

MAX_EPOCHS: Final = 4096
"""Epochs remembered per partition, the longest unseen forgotten first: its next batch is then reported as a jump."""
MAX_MISSING: Final = 64
"""Missing ranges remembered per epoch; beyond it the oldest is given up (a batch of it counts as a duplicate)."""

Arrival = Literal["next", "jump", "late", "duplicate"]


@dataclass(slots=True)
class _Epoch:
    next_seq: int = 0
    missing: list[tuple[int, int]] = field(default_factory=list)

    def judge(self, seq: int) -> Arrival:
        if seq == self.next_seq:
            return "next"
        if seq > self.next_seq:
            return "jump"
        return "late" if any(first <= seq <= last for first, last in self.missing) else "duplicate"

    def add(self, seq: int) -> None:
        if seq >= self.next_seq:
            if seq > self.next_seq:
                self.missing = [*self.missing, (self.next_seq, seq - 1)][-MAX_MISSING:]
            self.next_seq = seq + 1
        elif self.missing:
            self.missing = [part for gap in self.missing for part in _without(gap, seq)]


def _without(gap: tuple[int, int], seq: int) -> list[tuple[int, int]]:
    first, last = gap
    if not first <= seq <= last:
        return [gap]
    return [part for part in ((first, seq - 1), (seq + 1, last)) if part[0] <= part[1]]


class EpochLedger:
    """What one partition has given so far. `judge` decides, `add` remembers."""

    def __init__(self, saved: Any = None) -> None:
        self._epochs: OrderedDict[str, _Epoch] = OrderedDict()
        for epoch, next_seq, missing in saved or ():
            self._epochs[epoch] = _Epoch(next_seq, [(first, last) for first, last in missing])

    def judge(self, epoch: str, seq: int) -> Arrival:
        """How a batch of this epoch and number stands to those before it."""
        known = self._epochs.get(epoch)
        if known is None:
            return "next" if seq == 0 else "jump"
        return known.judge(seq)

    def expected(self, epoch: str) -> int:
        """The number of the epoch's next batch."""
        known = self._epochs.get(epoch)
        return known.next_seq if known else 0

    def add(self, epoch: str, seq: int) -> None:
        """Remember a batch that was emitted."""
        known = self._epochs.get(epoch)
        if known is None:
            known = self._epochs[epoch] = _Epoch()
            if len(self._epochs) > MAX_EPOCHS:
                self._epochs.popitem(last=False)
        else:
            self._epochs.move_to_end(epoch)
        known.add(seq)

    def save(self) -> list[Any]:
        """As JSON data, for the constructor."""
        return [[epoch, known.next_seq, known.missing] for epoch, known in self._epochs.items()]
