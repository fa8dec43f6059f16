"""What policy speaks of: operations, objects, facts of an action, decisions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from schemas.events import Verdict


class Operation(StrEnum):
    """What an action does at worst, from the least to the most dangerous."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    DDL = "ddl"
    GRANT = "grant"
    EXECUTE = "execute"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {operation: rank for rank, operation in enumerate(Operation)}


def worse(one: Operation, *others: Operation) -> Operation:
    """The most dangerous of these."""
    for other in others:
        if other.rank > one.rank:
            one = other
    return one


@dataclass(slots=True, frozen=True)
class ObjectAccess:
    """An object that an action touches: a table, a function (name ends in `()`), a path."""

    name: str
    access: Operation

    def __str__(self) -> str:
        return f"{self.access.value} {self.name}"


class Call(StrEnum):
    """What an action calls besides."""

    NOTHING = ""
    MODEL = "model"
    TOOL = "tool"


@dataclass(slots=True, frozen=True)
class Classified:
    """What a statement does. `is_unknown`: it was not understood, and `operation` is the most dangerous one.

    `has_where`: a WHERE, and no UPDATE or DELETE without one; `lacks_where`: some UPDATE or DELETE has none.
    `is_transaction`: nothing but transaction control. `columns`: names as written, without their table.
    `fingerprint` is the shape without literals, empty when unknown. `called`: the model or tool that is called, as the
    request names it; empty where it does not, or that is not known.
    """

    operation: Operation
    objects: tuple[ObjectAccess, ...] = ()
    fingerprint: str = ""
    is_multi: bool = False
    has_where: bool = False
    lacks_where: bool = False
    is_transaction: bool = False
    is_unknown: bool = False
    columns: tuple[str, ...] = ()
    call: Call = Call.NOTHING
    called: str = ""

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions it calls, where they may matter."""
        return tuple(each.name for each in self.objects if each.name.endswith("()"))

    @property
    def is_read(self) -> bool:
        """Surely only a read; everything else must be treated as a write."""
        return self.operation is Operation.READ and not self.is_unknown


@dataclass(slots=True, frozen=True)
class History:
    """What changes within a session: the time (UTC; Monday is 1), and what the session has done so far."""

    hour: int = 0
    weekday: int = 1
    actions: int = 0
    denials: int = 0
    rows_read: int = 0
    distinct_objects: int = 0


def volatile_values(names: Iterable[str], history: History, source: str, step: str) -> tuple[object, ...]:
    """What a decision hangs on besides a statement's shape and who acts where, of these names in order."""
    others = {"source": source, "step": step}
    return tuple(others[name] if name in others else getattr(history, name) for name in sorted(names))


def split_list(text: str) -> tuple[str, ...]:
    """The parts of a list with commas."""
    return tuple(part for each in text.split(",") if (part := each.strip()))


@dataclass(slots=True, frozen=True)
class ActionFacts:
    """All that a decision may rest on."""

    agent: str
    principal: str
    resource: str
    protocol: str
    classified: Classified
    labels: Mapping[str, str] = field(default_factory=dict)  # of the resource
    groups: tuple[str, ...] = ()  # of the principal
    source: str = ""  # the agent's address
    step: str = ""  # claimed
    sensitivity: frozenset[str] = frozenset()
    history: History = History()


class TypedMask(StrEnum):
    """What stands for a masked value that has no room for a token: a number, a date, a boolean."""

    NULL = "null"
    STAND_IN = "stand_in"


class Unreadable(StrEnum):
    """What is done with an answer that cannot be masked."""

    REFUSE = "refuse"
    RELAY = "relay"


@dataclass(slots=True, frozen=True)
class MaskObligation:
    """What a mask verdict demands of the answer.

    `labels`: of the values to mask, all when there are none. `columns`: patterns of column names, JSON keys and header
    names whose values are masked whole.
    """

    labels: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    typed: TypedMask = TypedMask.NULL
    unreadable: Unreadable = Unreadable.REFUSE


@dataclass(slots=True, frozen=True)
class ApprovalObligation:
    """What a hold demands: why, how many different people, and for how long the action waits (0: as is set)."""

    reason: str
    approvers: int = 1
    within_s: int = 0


AS_RESOURCE: Final = -1
"""A number that the resource's own limit stands for."""


@dataclass(slots=True, frozen=True)
class RecordObligation:
    """How much of an answer is recorded: result rows and content bytes, each AS_RESOURCE for the resource's own limit.

    Counts and keyed digests are of the whole answer in any case."""

    rows: int = AS_RESOURCE
    bytes: int = AS_RESOURCE


@dataclass(slots=True, frozen=True)
class Obligations:
    """What a verdict demands besides. `mask`: of the answer; `notify`: receivers; `approval`: of people;
    `record`: of the record of the answer, None for the resource's limits; `limit_rows`: 0 for no limit."""

    mask: MaskObligation | None = None
    approval: ApprovalObligation | None = None
    record: RecordObligation | None = None
    limit_rows: int = 0
    notify: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Decision:
    """The answer of policy. `policy_ids` name the policies that decided, `version` the set they are of; `reason` is
    for people and the record."""

    verdict: Verdict
    policy_ids: tuple[str, ...]
    reason: str
    obligations: Obligations = Obligations()
    version: str = ""


class PolicyEngine(Protocol):
    """What the gate asks. The same facts give the same decision for as long as `version` stays. `volatile`: what
    decisions hang on besides a statement's shape and who acts where (attributes of `History`, `source`). `may_mask`:
    whether any decision may demand a mask; then the proxies get their maskers ready."""

    version: str
    volatile: frozenset[str]
    may_mask: bool

    def decide(self, action: ActionFacts) -> Decision: ...
