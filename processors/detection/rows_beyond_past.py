"""An agent reads far more rows than it ever did: bulk extraction looks like this whatever the statements are.

Per agent, rows are summed in windows of a minute. A long baseline (mean and deviation of the windows in which it read)
is learned slowly and judged against a frozen copy, renewed once a day, so that a ramp within the day does not teach it.
A window counts into the baseline with at most the limit it was judged by. Nothing is said before the warm-up is over.
"""

from typing import Any, ClassVar, Final

from processors.detection.rule import Case, Match, Rule, evidence_of, example
from schemas.events import EventKind, Fact, Severity

WINDOW_US: Final = 60_000_000
WARM_UP_WINDOWS: Final = 20
REFREEZE_US: Final = 86_400_000_000
QUIET_US: Final = 600_000_000
MIN_ROWS: Final = 1000
FACTOR: Final = 10.0
DEVIATIONS: Final = 8.0
LEARNING: Final = 0.02
MAX_EVIDENCE: Final = 20


class RowsBeyondPast(Rule):
    """Rows of one minute above `MIN_ROWS`, `FACTOR` times the frozen mean and `DEVIATIONS` above it."""

    id: ClassVar[str] = "rows-beyond-past"
    version: ClassVar[str] = "1"
    severity: ClassVar[Severity] = Severity.HIGH
    description: ClassVar[str] = "an agent reads far more rows within a minute than in its own past"

    def start(self) -> Any:
        return {
            "window": 0,
            "rows": 0,
            "evidence": [],
            "windows": 0,
            "mean": 0.0,
            "deviation": 0.0,
            "frozen_at": 0,
            "frozen": None,
            "quiet_until": 0,
        }

    def step(self, state: Any, fact: Fact) -> Match | None:
        if fact.kind != EventKind.ACTION_COMPLETED or fact.rows <= 0 or fact.operation not in ("read", ""):
            return None
        window = fact.at // WINDOW_US
        if window > state["window"]:
            _close(state, fact.at)
            state["window"] = window
        state["rows"] += fact.rows
        evidence = state["evidence"]
        evidence.append(evidence_of(fact))
        if len(evidence) > MAX_EVIDENCE:
            del evidence[0]
        return _judge(state, fact)


def _limit(state: Any) -> float:
    """Rows of a window that are still ordinary for this agent; infinite while it warms up."""
    if state["frozen"] is None:
        return float("inf")
    mean, deviation = state["frozen"]
    return float(max(MIN_ROWS, mean * FACTOR, mean + DEVIATIONS * deviation))


def _close(state: Any, now: int) -> None:
    """Learn the window that is over, then start an empty one."""
    if state["rows"]:
        rows = min(float(state["rows"]), _limit(state))
        state["windows"] += 1
        weight = max(LEARNING, 1 / state["windows"])
        state["deviation"] += weight * (abs(rows - state["mean"]) - state["deviation"])
        state["mean"] += weight * (rows - state["mean"])
    if state["windows"] >= WARM_UP_WINDOWS and (state["frozen"] is None or now - state["frozen_at"] >= REFREEZE_US):
        state["frozen"], state["frozen_at"] = [state["mean"], state["deviation"]], now
    state["rows"], state["evidence"] = 0, []


def _judge(state: Any, fact: Fact) -> Match | None:
    limit = _limit(state)
    if state["rows"] <= limit or fact.at < state["quiet_until"]:
        return None
    state["quiet_until"] = fact.at + QUIET_US
    return Match(
        f"{state['rows']} rows read within a minute, far beyond this agent's past",
        tuple(state["evidence"]),
        {"rows": str(state["rows"]), "limit": str(int(limit)), "usual": str(int(state["frozen"][0]))},
    )


RULE: Final = RowsBeyondPast()


def _past(minutes: int, rows: int = 20) -> list[Fact]:
    return [example(60 * i, operation="read", rows=rows) for i in range(minutes)]


HITS: Final = (
    Case("one huge read", [*_past(30), example(60 * 30, operation="read", rows=50_000)], (30,)),
    Case(
        "many reads that add up",
        [*_past(30), *(example(1800 + i, operation="read", rows=300) for i in range(8))],
        (33,),
    ),
    Case(
        "one detection for a long extraction",
        [*_past(30), *(example(1800 + i, operation="read", rows=5000) for i in range(100))],
        (30,),
    ),
)
MISSES: Final = (
    Case("warm-up", [*_past(10), example(700, operation="read", rows=50_000)]),
    Case("its usual", _past(200)),
    Case("a reader of much stays one", [*_past(30, 40_000), example(60 * 30, operation="read", rows=90_000)]),
    Case("few rows in all", [*_past(30, 1), example(60 * 30, operation="read", rows=900)]),
    Case("rows written", [*_past(30), example(60 * 30, operation="write", rows=50_000)]),
)
