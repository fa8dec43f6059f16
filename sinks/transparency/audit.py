"""What a log says of a record, leaf by leaf: each in exactly one state, and whether anything is missing. Pure.

First every order is noted (`note_action`), then every leaf is judged in the log's order, with the record that was found
for it or without one. The same code judges a live store and a file of evidence.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from sinks.transparency.leaf import BatchLeaf, EventLeaf, commit
from sinks.transparency.orders import DAY_US, Holds, Order, Orders

KAFKA_RETENTION_US: Final = 7 * DAY_US
"""So long a copy of what is erased may live in Kafka's sessions topic."""
MAX_FINDINGS: Final = 50
MAX_HOLES: Final = 10_000
"""Of one run of numbers; more are counted, but not told apart."""


class State(StrEnum):
    """What has become of the record behind a leaf. MISSING and ALTERED are violations."""

    PRESENT = "present"
    HELD = "held"
    EXPIRED = "expired"
    ERASING = "erasing"
    ERASED = "erased"
    PENDING = "on its way"
    MISSING = "MISSING"
    ALTERED = "ALTERED"


@dataclass(frozen=True, slots=True)
class Found:
    """A record: what opens the leaf's commitment. `fault` says how its other columns differ from these bytes."""

    opening: bytes
    canonical: bytes
    fault: str = ""
    is_held: bool = False


class _Run:
    """Numbers from `base` on, each once: origins of a partition, batches of a proxy's run, events of a session.

    They may come out of order (a spool is drained late), so what was left out is remembered.
    """

    __slots__ = ("_holes", "_uncounted", "last")

    def __init__(self, base: int) -> None:
        self.last = base - 1
        self._holes: set[int] = set()
        self._uncounted = 0

    @property
    def missing(self) -> int:
        return len(self._holes) + self._uncounted

    def add(self, number: int) -> bool:
        """Take a number; False when it was there already."""
        if number > self.last:
            between = number - self.last - 1
            if between > MAX_HOLES - len(self._holes):
                self._uncounted += between
            elif between:
                self._holes.update(range(self.last + 1, number))
            self.last = number
            return True
        if number in self._holes:
            self._holes.discard(number)
            return True
        return False


class _Session(_Run):
    """A session's events."""

    __slots__ = ("closed_at", "epoch")

    def __init__(self) -> None:
        super().__init__(1)
        self.closed_at = 0
        self.epoch = ""


@dataclass(slots=True)
class Report:
    """What was found. `findings` are violations, at most MAX_FINDINGS of them in words."""

    states: Counter[State] = field(default_factory=Counter)
    violations: int = 0
    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    overdue: int = 0

    def violate(self, text: str) -> None:
        """Note a violation."""
        self.violations += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(text)


class Auditor:
    """Judges leaves. `is_pending(leaf)` says whether a record without trace may still be on its way."""

    def __init__(
        self,
        orders: Orders,
        now_us: int,
        is_pending: Callable[[EventLeaf], bool] = lambda leaf: False,
        holds: Holds | None = None,
    ) -> None:
        self.report = Report()
        self._orders = orders
        self._holds = holds
        self._now_us = now_us
        self._is_pending = is_pending
        for order_id in orders.done_without_order:
            self.report.violate(f"retention {order_id} was done without an order")

    def judge(self, index: int, leaf: EventLeaf, found: Found | None) -> State:
        """The state of a record."""
        state = self._judge_absent(index, leaf) if found is None else self._judge_present(index, leaf, found)
        self.report.states[state] += 1
        return state

    def _judge_present(self, index: int, leaf: EventLeaf, found: Found) -> State:
        if commit(found.opening, found.canonical) != leaf.commitment:
            self.report.violate(f"ALTERED: {describe(index, leaf)}: the record does not open its commitment")
            return State.ALTERED
        if found.fault:
            self.report.violate(f"ALTERED: {describe(index, leaf)}: {found.fault}")
            return State.ALTERED
        if self._is_held(leaf, found):
            return State.HELD
        order = self._orders.find_expiry(leaf)
        if order is not None and order.is_done and not order.fault:
            self.report.overdue += 1
        return State.PRESENT

    def _is_held(self, leaf: EventLeaf, found: Found) -> bool:
        """Under a hold in force; where the holds are not known, what the store moved for one."""
        return found.is_held if self._holds is None else self._holds.find_present(leaf) is not None

    def _judge_absent(self, index: int, leaf: EventLeaf) -> State:
        why = ""
        for order in self._orders.list_erasures(leaf):
            if not (fault := order.fault or self._orders.find_young(leaf, order) or self._find_barrier(leaf, order)):
                return State.ERASING if self._now_us < order.at + KAFKA_RETENTION_US else State.ERASED
            why = f"; order {order.order_id} does not permit it: {fault}"
        for order in self._orders.list_expiries(leaf):
            if not (fault := order.fault or self._find_barrier(leaf, order)):
                return State.EXPIRED
            why = f"; order {order.order_id} does not permit it: {fault}"
        if self._is_pending(leaf):
            return State.PENDING
        self.report.violate(f"MISSING: {describe(index, leaf)}{why}")
        return State.MISSING

    def _find_barrier(self, leaf: EventLeaf, order: Order) -> str:
        """Which hold an order went against, in words; empty when none."""
        span = self._holds.find_barrier(leaf, order) if self._holds is not None else None
        return f"legal hold {span.hold_id} was in force" if span is not None else ""


class Ledger:
    """Whether the leaves add up: origins, batches of proxies' runs, numbers of sessions. In the log's order."""

    def __init__(self) -> None:
        self._partitions: dict[tuple[str, int], _Run] = {}
        self._batches: dict[tuple[str, str, int], _Run] = {}
        self._sessions: dict[str, _Session] = {}
        self._open_batch: tuple[BatchLeaf, int] | None = None
        self._runs: dict[str, str] = {}  # proxy -> its newest run
        self.faults: list[str] = []
        self.events = self.gaps = 0

    def add(self, index: int, leaf: EventLeaf | BatchLeaf) -> None:
        """The next leaf."""
        if isinstance(leaf, BatchLeaf):
            self._add_batch(index, leaf)
        else:
            self._add_event(index, leaf)

    def summarize(self) -> dict[str, int]:
        """Sessions by verdict, events, gaps."""
        counts: Counter[str] = Counter({"complete": 0, "open": 0, "lost": 0, "gap": 0})
        for session in self._sessions.values():
            counts[self.verdict_of(session)] += 1
        return {"sessions": len(self._sessions), "events": self.events, "audit_gaps": self.gaps, **counts}

    def finish(self) -> list[str]:
        """Every fault, at most MAX_FINDINGS."""
        self._close_batch(-1)
        runs: list[tuple[tuple[Any, ...], _Run]] = [*self._partitions.items(), *self._batches.items()]
        for name, run in runs:
            if run.missing:
                what = "origins" if len(name) == 2 else "batches of a proxy's run"
                self._fault(f"{what} {name}: {run.missing} are missing up to {run.last}")
        for session_id, session in self._sessions.items():
            if session.missing:
                self._fault(f"session {session_id}: {session.missing} of its events are missing")
        return self.faults

    def verdict_of(self, session: _Session) -> str:
        """complete, open, lost (the end is unknown), or gap."""
        if session.missing:
            return "gap"
        if session.closed_at:
            return "complete"
        return "open" if session.epoch in self._runs.values() else "lost"

    def _add_batch(self, index: int, leaf: BatchLeaf) -> None:
        self._close_batch(index)
        self._open_batch = (leaf, 0)
        origin = leaf.origin
        self._follow(self._partitions, (origin.log_id, origin.partition), origin.offset, f"leaf {index}: origin")
        if leaf.proxy_epoch:
            key = (leaf.proxy_id, leaf.proxy_epoch, origin.partition)
            self._follow(self._batches, key, leaf.batch_seq, f"leaf {index}: batch of {leaf.proxy_id}")
            self._runs[leaf.proxy_id] = leaf.proxy_epoch

    def _add_event(self, index: int, leaf: EventLeaf) -> None:
        self.events += 1
        batch, seen = self._open_batch or (None, 0)
        if batch is None or batch.origin != leaf.origin or leaf.position != seen:
            self._fault(f"leaf {index}: an event that does not follow its batch")
        else:
            self._open_batch = (batch, seen + 1)
        if leaf.event_kind == "audit.gap":
            self.gaps += 1
        if not leaf.session_id:
            return
        session = self._sessions.setdefault(leaf.session_id, _Session())
        if batch is not None:
            session.epoch = batch.proxy_epoch
        if not session.add(leaf.seq):
            self._fault(f"leaf {index}: session {leaf.session_id} has its event {leaf.seq} twice")
        if session.closed_at and leaf.seq > session.closed_at:
            self._fault(f"leaf {index}: session {leaf.session_id} goes on after its end")
        if leaf.event_kind == "session.closed":
            session.closed_at = leaf.seq

    def _close_batch(self, index: int) -> None:
        if self._open_batch is not None and self._open_batch[1] != self._open_batch[0].events:
            batch, seen = self._open_batch
            self._fault(f"leaf {index}: the batch before it has {seen} of {batch.events} events")
        self._open_batch = None

    def _follow(self, runs: dict[Any, _Run], key: tuple[Any, ...], number: int, what: str) -> None:
        if not runs.setdefault(key, _Run(0)).add(number):
            self._fault(f"{what} {number} comes twice")

    def _fault(self, text: str) -> None:
        if len(self.faults) < MAX_FINDINGS:
            self.faults.append(text)


def describe(index: int, leaf: EventLeaf) -> str:
    """A leaf for people."""
    origin = leaf.origin
    where = f"origin {origin.log_id}/{origin.partition}/{origin.offset}/{leaf.position}"
    return f"leaf {index}, event {leaf.seq} ({leaf.event_kind}) of session {leaf.session_id}, {where}"
