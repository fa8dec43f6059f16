"""An agent is refused or fails many times within a short while: probing, a broken plan, or a stolen credential."""

from typing import Any, ClassVar, Final

from processors.detection.rule import Case, Match, Rule, evidence_of, example
from schemas.events import EventKind, Fact, Severity, Verdict

THRESHOLD: Final = 10
WINDOW_US: Final = 60_000_000


class DeniedBurst(Rule):
    """`THRESHOLD` denied or failed actions within `WINDOW_US`; then quiet for one window."""

    id: ClassVar[str] = "denied-burst"
    version: ClassVar[str] = "1"
    severity: ClassVar[Severity] = Severity.MEDIUM
    description: ClassVar[str] = "many denied or failed actions of one agent within a minute"

    def start(self) -> Any:
        return {"recent": [], "quiet_until": 0}

    def step(self, state: Any, fact: Fact) -> Match | None:
        if not _is_refusal(fact) or fact.at < state["quiet_until"]:
            return None
        recent = [item for item in state["recent"] if abs(fact.at - item[0]) < WINDOW_US]
        recent.append([fact.at, evidence_of(fact), fact.verdict == Verdict.DENY])
        state["recent"] = recent
        if len(recent) < THRESHOLD:
            return None
        state["recent"], state["quiet_until"] = [], fact.at + WINDOW_US
        denied = sum(1 for _, _, is_denied in recent if is_denied)
        return Match(
            f"{len(recent)} denied or failed actions within {WINDOW_US // 1_000_000} s",
            tuple(name for _, name, _ in recent),
            {"denied": str(denied), "failed": str(len(recent) - denied), "threshold": str(THRESHOLD)},
        )


def _is_refusal(fact: Fact) -> bool:
    """Once per action: its refusal, or its failed outcome."""
    if fact.kind == EventKind.ACTION_DECIDED:
        return fact.verdict == Verdict.DENY
    return fact.kind == EventKind.ACTION_COMPLETED and fact.is_failed and fact.verdict != Verdict.DENY


RULE: Final = DeniedBurst()


def _denied(at_s: float) -> Fact:
    return example(at_s, EventKind.ACTION_DECIDED.value, verdict=Verdict.DENY.value, is_failed=True)


def _failed(at_s: float) -> Fact:
    return example(at_s, status="42501", is_failed=True)


HITS: Final = (
    Case("ten denials", [_denied(i) for i in range(10)], (9,)),
    Case("denials and failures mixed", [_denied(i) if i % 2 else _failed(i) for i in range(10)], (9,)),
    Case("a burst of a hundred within a minute is one", [_denied(i / 2) for i in range(100)], (9,)),
    Case(
        "a second burst later is another",
        [_denied(i) for i in range(10)] + [_denied(600 + i) for i in range(10)],
        (9, 19),
    ),
    Case("clocks of two proxies a little apart", [_denied(i + 5 * (i % 2)) for i in range(10)], (9,)),
)
MISSES: Final = (
    Case("nine denials", [_denied(i) for i in range(9)]),
    Case("ten denials over ten minutes", [_denied(60 * i) for i in range(10)]),
    Case("successes", [example(i, status="00000", rows=1) for i in range(50)]),
    Case(
        "a denial's outcome does not count again",
        [f for i in range(5) for f in (_denied(i), example(i, verdict="deny", is_failed=True))],
    ),
)
