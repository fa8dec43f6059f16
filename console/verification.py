"""What can be checked of the record: facts in, three verdicts out. Pure; `console/commands/verify.py` gets the facts.

Integrity (was it altered), completeness (is anything missing) and coverage (how much was understood) are never one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final


class Outcome(StrEnum):
    """What a verdict says."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNDECIDED = "undecided"
    UNPROVABLE = "not yet provable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verdict, why, and what was found."""

    name: str
    outcome: Outcome
    summary: str
    findings: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chain:
    """Numbers that must follow one another: `count` different ones between `first` and `last`."""

    name: str
    count: int
    first: int
    last: int

    @property
    def missing(self) -> int:
        """Numbers between first and last that are not there."""
        return self.last - self.first + 1 - self.count


@dataclass(frozen=True, slots=True)
class SessionChain:
    """A session that is not plainly whole, as it is stored."""

    session_id: str
    epoch: str
    stored: int
    distinct_seqs: int
    first: int
    last: int
    closings: int
    closed_events: int
    is_custody: bool = False
    missing: str = ""  # which numbers, as `3,7-9`, as far as they were looked up


@dataclass(frozen=True, slots=True)
class Facts:
    """What the store says. `live_epochs` are the runs of proxies that have not ended, each proxy's newest.

    `truncated`: sessions of which the limits of their resource kept only a part, the rest counted and digested.
    """

    partitions: tuple[Chain, ...] = ()
    duplicates: Mapping[str, int] = field(default_factory=dict)
    epochs: tuple[Chain, ...] = ()
    sessions: int = 0
    truncated: int = 0
    events: int = 0
    odd_sessions: tuple[SessionChain, ...] = ()
    live_epochs: frozenset[str] = frozenset()
    gaps: tuple[Mapping[str, Any], ...] = ()
    expired_orders: int = 0
    ledgers: tuple[Mapping[str, Any], ...] = ()
    shortened: int = 0  # answers of which a policy wanted less recorded than there was


MAX_FINDINGS: Final = 50
LOSSES: Final = frozenset({"too_large", "unopenable"})
"""Reasons of audit.gap by which a genuine batch gave no events. An undecodable one is missing from its proxy's run."""


NO_LOG: Final = Verdict("integrity", Outcome.UNPROVABLE, "no transparency log commits to these rows")


def judge(facts: Facts, integrity: Verdict = NO_LOG, log_faults: Iterable[str] = ()) -> list[Verdict]:
    """The three verdicts, in order. `log_faults`: where the leaves of the transparency log do not add up."""
    return [integrity, judge_completeness(facts, log_faults), judge_coverage(facts)]


def judge_completeness(facts: Facts, log_faults: Iterable[str] = ()) -> Verdict:
    """Holes, repeats, sessions that do not add up, and losses that the record itself owns to."""
    violations = [*_chain_faults(facts), *_repeats(facts), *(f"transparency log: {fault}" for fault in log_faults)]
    states = {"open": 0, "lost": 0}
    notes: list[str] = []
    for session in facts.odd_sessions:
        if fault := session_fault(session, facts):
            violations.append(f"session {session.session_id}: {fault}")
        elif session.closings == 0 and not session.is_custody:
            is_open = session.epoch in facts.live_epochs
            states["open" if is_open else "lost"] += 1
            if not is_open:
                notes.append(f"session {session.session_id} is lost: complete to seq {session.last}, end unknown")
    losses = [gap for gap in facts.gaps if is_loss(gap)]
    violations += [describe_gap(gap) for gap in losses]
    states["truncated by policy"] = facts.truncated
    counts = {"sessions": facts.sessions, "events": facts.events, **states, "gaps": len(facts.gaps)}
    summary = ", ".join(f"{count} {name}" for name, count in counts.items())
    if violations:
        return Verdict("completeness", Outcome.VIOLATED, summary, tuple(violations[:MAX_FINDINGS]), counts)
    if not facts.events:
        return Verdict("completeness", Outcome.UNDECIDED, "nothing is stored", (), counts)
    notes += [describe_gap(gap) for gap in facts.gaps]
    if facts.shortened:
        notes.append(f"of {facts.shortened} answers policies wanted less than all recorded (@record): counts, digests")
    return Verdict("completeness", Outcome.HOLDS, summary, tuple(notes[:MAX_FINDINGS]), counts)


def is_loss(gap: Mapping[str, Any]) -> bool:
    """Whether a gap says that events are gone. What was never evidence (forged, sent twice) is no loss."""
    attributes = gap.get("attributes", {})
    return "lost_events" in attributes or attributes.get("reason") in LOSSES


def judge_coverage(facts: Facts) -> Verdict:
    """How many bytes of closed sessions were understood; opaque ones are kept or counted, and said."""
    total = sum(_ledger(row, "from_agent") + _ledger(row, "from_upstream") for row in facts.ledgers)
    opaque = sum(_ledger(row, "opaque_agent") + _ledger(row, "opaque_upstream") for row in facts.ledgers)
    if not total:
        return Verdict("coverage", Outcome.UNDECIDED, "no closed session carried bytes")
    share = (total - opaque) / total * 100
    notes = tuple(
        f"{row['resource']} ({row['protocol']}): {_ledger(row, 'opaque_agent') + _ledger(row, 'opaque_upstream')} of "
        f"{_ledger(row, 'from_agent') + _ledger(row, 'from_upstream')} bytes opaque in {row['sessions']} sessions"
        for row in facts.ledgers
    )
    counts = {"bytes": total, "opaque_bytes": opaque}
    return Verdict("coverage", Outcome.HOLDS, f"{share:.2f} % of {total} bytes understood", notes, counts)


def session_fault(session: SessionChain, facts: Facts) -> str:
    """What is wrong with a session; "" when it is only open, or lost with its proxy."""
    if session.stored != session.distinct_seqs:
        return f"{session.stored - session.distinct_seqs} events are stored twice"
    missing = session.last - session.distinct_seqs
    if missing:
        which = f": {session.missing}" if session.missing else ""
        return f"{missing} of {session.last} events are missing{which}" if not facts.expired_orders else ""
    if session.closings > 1:
        return f"closed {session.closings} times"
    if session.closings and session.closed_events != session.stored:
        return f"closed with {session.closed_events} events, {session.stored} are stored"
    return ""


def describe_gap(gap: Mapping[str, Any]) -> str:
    """One line on an audit.gap."""
    attributes = " ".join(f"{key}={value}" for key, value in sorted(gap.get("attributes", {}).items()))
    return f"gap recorded: {gap.get('proxy_id', '')} partition {gap.get('partition', '')} {attributes}".rstrip()


def verdicts_exit_code(verdicts: Iterable[Verdict]) -> int:
    """1 for a violation; 2 when integrity or completeness could not be decided; else 0."""
    outcomes = {verdict.name: verdict.outcome for verdict in verdicts}
    if Outcome.VIOLATED in outcomes.values():
        return 1
    return 2 if Outcome.UNDECIDED in (outcomes["integrity"], outcomes["completeness"]) else 0


def _chain_faults(facts: Facts) -> Iterable[str]:
    for chain in (*facts.partitions, *facts.epochs):
        # Classes go at different ages, and holds keep some rows of a day: what retention took and said so is no hole.
        # Whether that is all that went the transparency log says.
        if chain.missing and not facts.expired_orders:
            yield f"{chain.name}: {chain.missing} of {chain.last - chain.first + 1} are missing"
        if chain.first > 0 and not facts.expired_orders:
            yield f"{chain.name}: begins at {chain.first}, and nothing was expired"


def _repeats(facts: Facts) -> Iterable[str]:
    for name, count in facts.duplicates.items():
        if count:
            yield f"{name}: {count} events are stored twice"


def _ledger(row: Mapping[str, Any], name: str) -> int:
    return int(row.get(name, 0) or 0)
