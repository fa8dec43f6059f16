"""What a detection rule is: metadata, a state per agent, one step per fact. One file a rule, with its cases in it.

Pure: time is the facts' own. A state is JSON data that the rule changes in place, bounded in size.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from schemas.events import Fact, Severity


@dataclass(frozen=True, slots=True)
class Match:
    """A rule matched: a line for people, the events it rests on (session_id:seq), observed and expected values."""

    title: str
    evidence: tuple[str, ...]
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """An example: facts of one agent, and at which of them (by index) the rule must match."""

    name: str
    facts: Sequence[Fact]
    matches_at: tuple[int, ...] = ()


class Rule(ABC):
    """A detection rule. A change of meaning is a new `version`."""

    id: ClassVar[str]
    version: ClassVar[str]
    severity: ClassVar[Severity]
    description: ClassVar[str]

    @abstractmethod
    def start(self) -> Any:
        """The state of an agent never seen."""

    @abstractmethod
    def step(self, state: Any, fact: Fact) -> Match | None:
        """Take one fact of the agent in."""


def evidence_of(fact: Fact) -> str:
    """How a detection names an event."""
    return f"{fact.session_id}:{fact.seq}"


def example(at_s: float, kind: str = "action.completed", **values: Any) -> Fact:
    """A fact for a case, `at_s` seconds after some moment."""
    facts: dict[str, Any] = {
        "offset": 0,
        "position": 0,
        "session_id": "s1",
        "seq": 1,
        "at": int(1_750_000_020_000_000 + at_s * 1_000_000),
        "agent": "planner",
        "principal": "ann",
        "resource": "db",
        "kind": kind,
        "operation": "",
        "verdict": "none",
        "status": "",
        "is_failed": False,
        "rows": 0,
        "bytes": 0,
    }
    return Fact(**{**facts, **values})
