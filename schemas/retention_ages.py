"""How ages combine: what several say is kept for the longest minimum and goes by the shortest maximum. Pure.

Several rules may ask for one session, each for a class. It is then recorded under a class of its own, named after all
of them (`hipaa+short`), since a day of a class goes as a whole. Nothing more is stored about it: who knows the classes
knows the ages of every combination.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, Self

from schemas.errors import ConfigError

JOIN: Final = "+"
"""Between the names of a combination; no class of settings has it in its name."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A number of days, and what asks for it."""

    days: int
    why: str


class Ages(Protocol):
    """What is said of one class."""

    @property
    def max_age_days(self) -> int: ...
    @property
    def min_age_days(self) -> int: ...
    def join(self, others: Iterable[Self]) -> Self:
        """Of this and others at once, the minimum winning."""
        ...


class AgesConflict(ConfigError):
    """What must be kept longer than it may stay."""


def combine(minimums: Iterable[Bound], maximums: Iterable[Bound]) -> tuple[int, int]:
    """The longest minimum and the shortest maximum. Raises AgesConflict, naming both, when one is beyond the other."""
    least = max(minimums, key=lambda bound: bound.days)
    most = min(maximums, key=lambda bound: bound.days)
    if least.days > most.days:
        raise AgesConflict(f"must be kept {least.days} days ({least.why}) and gone after {most.days} ({most.why})")
    return least.days, most.days


def check_together(named: Mapping[str, Ages]) -> None:
    """Raises AgesConflict unless one record can be of all these classes; the keys say who asks for each."""
    combine(
        [Bound(ages.min_age_days, name) for name, ages in named.items()],
        [Bound(ages.max_age_days, name) for name, ages in named.items()],
    )


def name_combination(names: Iterable[str]) -> str:
    """The class of what is of all these classes."""
    return JOIN.join(sorted({part for name in names for part in name.split(JOIN)}))


def parts_of(name: str) -> list[str]:
    """The classes that a class is a combination of; itself when it is none."""
    return name.split(JOIN)


class ClassAges[A: Ages](Mapping[str, A]):
    """Ages by class: of the stated ones, and of any combination of them.

    A combination of which one class is not stated is not there: how long it must be kept is then not known. Old
    combinations may contradict themselves under newer ages; the minimum wins.
    """

    def __init__(self, stated: Mapping[str, A]) -> None:
        self._stated = stated

    def __getitem__(self, name: str) -> A:
        first, *others = [self._stated[part] for part in parts_of(name)]
        return first.join(others) if others else first

    def __iter__(self) -> Iterator[str]:
        return iter(self._stated)

    def __len__(self) -> int:
        return len(self._stated)
