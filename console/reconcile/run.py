"""`custody verify --reconcile`: the trail of a resource against the target's own evidence, as one verdict."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from console.reconcile.access_log import read_access_log
from console.reconcile.matching import Bounds, Done, Outcome, match
from console.reconcile.postgres_log import DEFAULT_PREFIX, read_postgres_log
from console.reconcile.shapes import HttpShapes
from console.reconcile.sighting import Reading, Sighting, read_lines
from console.reconcile.times import find_zone
from console.reconcile.trail import OPEN_ENDED_US, read_actions
from console.verification import Outcome as Says
from console.verification import Verdict
from schemas.errors import ConfigError
from schemas.runtime import now_us

if TYPE_CHECKING:
    from console.control import Place
    from console.reconcile.statement_counts import Comparison, Counts
    from console.store import Store
    from masking.engine import Masker
    from schemas.resources import Resource

NAME: Final = "reconciliation"
MAX_NAMED: Final = 50
"""Findings in the text; --json has `limit` of each kind."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. Times in µs since the epoch; empty: all that the evidence has."""

    since: int = 0
    until: int = 0
    skew_us: int = 5_000_000
    evidence: tuple[Path, ...] = ()
    proxies: frozenset[str] = frozenset()
    ignored_users: frozenset[str] = frozenset()
    prefix: str = DEFAULT_PREFIX
    time_zone: str = ""
    baseline: Path | None = None
    save_baseline: Path | None = None
    limit: int = 1000


def reconcile(store: "Store", place: "Place", resource: "Resource", question: Question) -> Verdict:
    """The verdict. Raises ConfigError for evidence that cannot be used, Unreachable, QueryFailed."""
    if question.evidence:
        return reconcile_log(store, resource, question)
    if resource.protocol != "postgres":
        raise ConfigError(f"{resource.name} is {resource.protocol}: give its server's access log with --evidence FILE")
    return reconcile_counts(store, place, resource, question)


def reconcile_log(store: "Store", resource: "Resource", question: Question) -> Verdict:
    """Each action of a log file against each action of the trail."""
    reading = Reading()
    until = question.until or now_us()
    user = resource.upstream.user if resource.protocol == "postgres" else ""
    bounds = Bounds(question.since, until, question.skew_us, question.proxies, user)
    seen = _without(read_sightings(resource, question, reading), question.ignored_users, reading)
    actions, seen = _side_by_side(
        lambda first: read_actions(
            store, resource, max(first, question.since) - question.skew_us - OPEN_ENDED_US, until + question.skew_us
        ),
        seen,
    )
    return judge_log(match(actions, seen, bounds, question.limit), reading)


def _side_by_side(
    trail: Callable[[int], Iterator[Done]], sightings: Iterator[Sighting]
) -> tuple[Iterator[Done], Iterator[Sighting]]:
    """The trail from the first sighting on, and all sightings."""
    first = next(sightings, None)
    if first is None:
        return iter(()), iter(())

    def all_of() -> Iterator[Sighting]:
        yield first
        yield from sightings

    return trail(first.at), all_of()


def read_sightings(resource: "Resource", question: Question, reading: Reading) -> Iterator[Sighting]:
    """What the evidence says, in its own order. Raises ConfigError."""
    lines = read_lines(question.evidence, reading)
    match resource.protocol:
        case "postgres":
            return read_postgres_log(lines, reading, question.prefix, find_zone(question.time_zone))
        case "http":
            return read_access_log(lines, reading, HttpShapes(lambda path: _masker().mask_text(path).text))
    raise ConfigError(
        f"{resource.name} is {resource.protocol}: only postgres and http have evidence that can be compared"
    )


@cache
def _masker() -> "Masker":
    """Made once: it takes seconds."""
    from console.commands.mask import load_masker

    return load_masker()


def _without(sightings: Iterator[Sighting], users: frozenset[str], reading: Reading) -> Iterator[Sighting]:
    for sighting in sightings:
        if sighting.user and sighting.user in users:
            reading.ignore(f"user {sighting.user}")
        else:
            yield sighting


def judge_log(outcome: Outcome, reading: Reading) -> Verdict:
    """Violated by what came past the proxies. Undecided when the evidence has nothing, or has holes itself."""
    facts: dict[str, Any] = {
        "method": "log",
        "matched": outcome.matched,
        "only_at_target": outcome.only_target,
        "only_in_trail": outcome.only_trail,
        "uncertain": outcome.uncertain,
        "coverage_percent": outcome.coverage,
        "from": shown_time(outcome.first),
        "to": shown_time(outcome.last),
        "lines": reading.lines,
        "unread_lines": reading.unread,
        "ignored": dict(sorted(reading.ignored.items())),
        "target": [_of_target(sighting) for sighting in outcome.target_items],
        "trail": [_of_trail(action) for action in outcome.trail_items],
    }
    findings = [f"only at the target: {describe(item)}" for item in facts["target"]]
    findings += [f"only in the trail: {describe(item)}" for item in facts["trail"]]
    if reading.unread:
        named = ", ".join(map(str, reading.unread_lines))
        findings.append(f"{reading.unread} lines of the evidence could not be read (lines {named}, …)")
    summary = _summary(outcome.matched, outcome.only_target, outcome.only_trail, outcome.coverage)
    if outcome.first:
        summary += f", {facts['from']} to {facts['to']}"
    is_open = not outcome.first or outcome.only_trail or reading.unread
    if not outcome.first:
        summary = "the evidence has no action in that time: does the server log every statement or request?"
    says = Says.VIOLATED if outcome.only_target else Says.UNDECIDED if is_open else Says.HOLDS
    return Verdict(NAME, says, summary, tuple(findings[:MAX_NAMED]), facts)


def reconcile_counts(store: "Store", place: "Place", resource: "Resource", question: Question) -> Verdict:
    """Counts of pg_stat_statements against counts of the trail, since the counters' reset or a saved baseline."""
    from console.reconcile.statement_counts import compare, load_baseline, read_counts

    if question.since or question.until:
        raise ConfigError("pg_stat_statements counts since its reset: for another time give --baseline, or --evidence")
    counts = read_counts(place, resource)
    if question.save_baseline is not None:
        question.save_baseline.write_text(counts.as_json())
    if question.baseline is not None:
        counts = counts.minus(load_baseline(question.baseline))
    actions = read_actions(store, resource, counts.since - question.skew_us, counts.at + question.skew_us)
    return judge_counts(counts, compare(counts, actions, resource, question.ignored_users))


def judge_counts(counts: "Counts", found: "Comparison") -> Verdict:
    """As judge_log; what was thrown out of the counters or hidden leaves it undecided."""
    more = sum(item.count for item in found.only_target)
    less = -sum(item.count for item in found.only_trail)
    coverage = found.matched / (found.matched + more) * 100 if found.matched + more else None
    facts: dict[str, Any] = {
        "method": "pg_stat_statements",
        "matched": found.matched,
        "only_at_target": more,
        "only_in_trail": less,
        "coverage_percent": coverage,
        "from": shown_time(counts.since),
        "to": shown_time(counts.at),
        "evicted": counts.dealloc,
        "hidden": counts.hidden,
        "target": [_of_difference(item, item.count) for item in found.only_target],
        "trail": [_of_difference(item, -item.count) for item in found.only_trail],
    }
    findings = [f"only at the target: {describe(item)}" for item in facts["target"]]
    findings += [f"only in the trail: {describe(item)}" for item in facts["trail"]]
    if counts.dealloc:
        findings.append(f"the counters overflowed {counts.dealloc} times: raise pg_stat_statements.max")
    if counts.hidden:
        findings.append(f"{counts.hidden} executions of others are hidden: grant pg_read_all_stats")
    summary = _summary(found.matched, more, less, coverage) + f", {facts['from']} to {facts['to']}, counts by shape"
    is_open = not found.matched or less or counts.dealloc or counts.hidden
    says = Says.VIOLATED if more else Says.UNDECIDED if is_open else Says.HOLDS
    return Verdict(NAME, says, summary, tuple(findings[:MAX_NAMED]), facts)


def describe(item: Mapping[str, Any]) -> str:
    """One line on what has no counterpart."""
    return " ".join(
        f"{name}={value}" if name not in ("at", "text") else str(value) for name, value in item.items() if value != ""
    )


def shown_time(at: int) -> str:
    """µs since the epoch as ISO 8601, UTC; "" for none."""
    return datetime.fromtimestamp(at / 1e6, UTC).isoformat(timespec="milliseconds") if at else ""


def _summary(matched: int, more: int, less: int, coverage: float | None) -> str:
    share = "" if coverage is None else f", {coverage:.2f} % of what the target saw passed a proxy"
    return f"{matched} matched, {more} only at the target, {less} only in the trail{share}"


def _of_target(sighting: Sighting) -> dict[str, Any]:
    return {
        "at": shown_time(sighting.at),
        "source": sighting.source,
        "user": sighting.user,
        "database": sighting.database,
        "session": sighting.session,
        "status": sighting.status,
        "line": sighting.line,
        "shape": sighting.shape if sighting.shape != sighting.text else "",
        "text": sighting.text,
    }


def _of_trail(action: Done) -> dict[str, Any]:
    return {
        "at": shown_time(action.at),
        "session": action.session_id,
        "seq": action.seq,
        "agent": action.agent,
        "database": action.database,
        "shape": action.shape,
    }


def _of_difference(item: Any, count: int) -> dict[str, Any]:
    return {
        "count": count,
        "user": item.user,
        "database": item.database,
        "shape": item.shape,
        "text": item.text,
    }
