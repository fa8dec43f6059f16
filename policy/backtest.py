"""History through proposed policies: what would have been newly refused, held or masked, and who is hit. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from policy.cedar_policies import PolicySet
from policy.classify import CLASSIFIERS, classify
from policy.decide import decide
from policy.model import (
    ActionFacts,
    Classified,
    Decision,
    History,
    ObjectAccess,
    Operation,
    split_list,
    volatile_values,
)

MAX_SAMPLES: Final = 3


@dataclass(slots=True, frozen=True)
class PastAction:
    """One recorded request: as it was stored, its statement masked."""

    principal: str
    agent: str
    resource: str
    protocol: str
    statement: str
    operation: str
    objects: tuple[str, ...]
    verdict: str
    session_id: str = ""
    is_truncated: bool = False
    source: str = ""
    hour: int = 0
    weekday: int = 1
    groups: tuple[str, ...] = ()
    rows_read: int = 0  # by its session before it
    step: str = ""


@dataclass(slots=True)
class Change:
    """Actions that would get another verdict, by the same policies."""

    verdict: str
    before: str
    policies: tuple[str, ...]
    reason: str
    count: int = 0
    hit: dict[tuple[str, str, str], int] = field(default_factory=dict)  # (principal, agent, resource) -> actions
    operations: dict[str, int] = field(default_factory=dict)
    samples: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        hit = [
            {"principal": who[0], "agent": who[1], "resource": who[2], "actions": count}
            for who, count in sorted(self.hit.items(), key=lambda item: -item[1])
        ]
        return {
            "verdict": self.verdict, "before": self.before, "policies": list(self.policies), "reason": self.reason,
            "actions": self.count, "hit": hit, "operations": self.operations, "samples": self.samples,
        }  # fmt: skip


@dataclass(slots=True)
class Report:
    """What a backtest found. `by_record`: actions judged by what was recorded of them, their text being masked."""

    version: str
    actions: int = 0
    unchanged: int = 0
    by_record: int = 0
    changes: dict[tuple[str, str, tuple[str, ...]], Change] = field(default_factory=dict)

    def by_verdict(self) -> dict[str, int]:
        """How many actions would newly get each verdict."""
        found: dict[str, int] = {}
        for change in self.changes.values():
            found[change.verdict] = found.get(change.verdict, 0) + change.count
        return found


@dataclass(slots=True)
class _Session:
    actions: int = 0
    denials: int = 0
    objects: set[str] = field(default_factory=set)


def backtest(actions: Iterable[PastAction], policies: PolicySet, labels: Mapping[str, Mapping[str, str]]) -> Report:
    """Run actions, in the order of time, through policies. `labels`: of each resource, as they are now."""
    report = Report(policies.version)
    sessions: dict[str, _Session] = {}
    known: dict[Any, Decision] = {}
    for action in actions:
        classified, is_by_record = classify_past(action)
        past = sessions.setdefault(action.session_id, _Session())
        past.actions += 1
        past.objects.update(each.name for each in classified.objects)
        history = History(action.hour, action.weekday, past.actions, past.denials, action.rows_read, len(past.objects))
        seen = volatile_values(policies.volatile, history, action.source, action.step)
        who = (action.principal, action.agent, action.resource, action.protocol, action.groups)
        key = (classified, *who, seen)
        decision = known.get(key)
        if decision is None:
            decision = known[key] = decide(_facts(action, classified, history, labels), policies)
        past.denials += decision.verdict.value in ("deny", "hold")
        report.actions += 1
        report.by_record += is_by_record
        _note(report, action, decision)
    return report


def classify_past(action: PastAction) -> tuple[Classified, bool]:
    """The statement as it was stored; when masking made it unreadable, what was recorded. (…, whether by record)."""
    if action.protocol in CLASSIFIERS and not action.is_truncated:
        classified = classify(action.protocol, action.statement)
        if not classified.is_unknown or action.operation in ("unknown", ""):
            return classified, False
    if action.operation not in set(Operation):
        return Classified(Operation.ADMIN, is_unknown=True), True
    objects = []
    for text in action.objects:
        access, _, name = text.partition(" ")
        if access in set(Operation) and name:
            objects.append(ObjectAccess(name, Operation(access)))
    return Classified(Operation(action.operation), tuple(objects)), True


def _facts(
    action: PastAction, classified: Classified, history: History, labels: Mapping[str, Mapping[str, str]]
) -> ActionFacts:
    sensitive = labels.get(action.resource, {}).get("sensitivity", "")
    return ActionFacts(
        agent=action.agent,
        principal=action.principal,
        resource=action.resource,
        protocol=action.protocol,
        classified=classified,
        labels=labels.get(action.resource, {}),
        sensitivity=frozenset(split_list(sensitive)),
        groups=action.groups,
        source=action.source,
        step=action.step,
        history=history,
    )


def _note(report: Report, action: PastAction, decision: Decision) -> None:
    verdict = decision.verdict.value
    before = action.verdict if action.verdict != "none" else "allow"
    if verdict == before:
        report.unchanged += 1
        return
    key = (verdict, before, decision.policy_ids)
    change = report.changes.get(key)
    if change is None:
        change = report.changes[key] = Change(verdict, before, decision.policy_ids, decision.reason)
    who = (action.principal, action.agent, action.resource)
    change.count += 1
    change.hit[who] = change.hit.get(who, 0) + 1
    change.operations[action.operation] = change.operations.get(action.operation, 0) + 1
    if len(change.samples) < MAX_SAMPLES and action.statement not in change.samples:
        change.samples.append(action.statement[:500])
