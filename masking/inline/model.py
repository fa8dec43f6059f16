"""What inline masking is asked to do, and what it reports."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from masking.model import Finding
from schemas.events import Masked

MAX_ENTRIES: Final = 500
"""Most different values one record lists; further ones are counted for each label, without token and place."""

MORE: Final = "(more)"


class Unreadable(Exception):
    """This content cannot be masked as ordered. The text says why, in words for the agent; never any content."""


@dataclass(frozen=True)
class MaskOrder:
    """What to mask. No `labels`: whatever any detector knows.

    `columns`: patterns (* and ?, any case) of column names, JSON keys and header names whose values are masked whole;
    one with a dot is for a dotted path of JSON keys (`customer.ssn`, at any depth). `has_stand_ins`: what has no room
    for a token (a number, a date) becomes zero, the first day or the like instead of null. `is_strict`: what cannot
    be read is refused, not relayed.
    """

    labels: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    has_stand_ins: bool = False
    is_strict: bool = True


class Rewriter(Protocol):
    """A stream being masked. Each method returns the bytes that are certain by then; all may raise Unreadable."""

    @property
    def is_holding(self) -> bool:
        """Whether a later `flush` would bring something out though nothing came."""

    def feed(self, data: bytes) -> bytes: ...

    def flush(self) -> bytes:
        """Nothing came for a while: what need not be held any longer."""

    def finish(self) -> bytes:
        """The rest."""


class Report:
    """What was masked since it was last taken. `mask_places` masks the places: upstreams choose their keys' names."""

    def __init__(self, mask_places: Callable[[Sequence[str]], list[str]]) -> None:
        self.total = 0
        self.unread = ""
        """Why some of the content was passed on although it could not be masked as ordered."""
        self._counts: dict[tuple[str, str, str], int] = {}
        self._mask_places = mask_places

    def add(self, findings: Iterable[Finding], place: str = "") -> None:
        """Count findings; `place` stands for theirs when given."""
        counts = self._counts
        for finding in findings:
            self.total += 1
            # By number: compiled code finds a field of a NamedTuple by its name as slowly as any attribute.
            key = (finding[0], finding[1], place or finding[4])
            known = counts.get(key, 0)
            if not known and len(counts) >= MAX_ENTRIES:
                key = (finding[0], "", MORE)
                known = counts.get(key, 0)
            counts[key] = known + 1

    def merge(self, other: "Report") -> None:
        """Count what another report, which nobody has taken, has counted."""
        if other.unread:
            self.unread = other.unread
        if not other.total:
            return
        self.total += other.total
        counts = self._counts
        for key, count in other._counts.items():
            if key not in counts and len(counts) >= MAX_ENTRIES:
                key = (key[0], "", MORE)
            counts[key] = counts.get(key, 0) + count

    def take(self) -> list[Masked]:
        """What was found since the last call, in order of first appearance."""
        if not self._counts:
            return []
        counts, self._counts = self._counts, {}
        places = self._mask_places([place for _, _, place in counts])
        told: list[Masked] = []
        for (label, token, _), count in counts.items():
            told.append(Masked(label, count, token, places[len(told)]))
        return told
