"""Asks policy about an action before it happens. The only place of the TCP relays that knows `policy/`."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from ingest.session import Session
from policy.classify import Classified, classify
from policy.decide import ActionFacts, Decision, PolicyEngine
from policy.model import History, Obligations
from schemas.events import Verdict
from schemas.resources import Resource

UNKNOWN: Final = "unknown"
NOTHING: Final = Obligations()
LIMITED: Final = "the answer would have to be limited, and limits are not available yet"

REFUSED: Final = {
    Verdict.DENY: "",
    Verdict.HOLD: "held actions need an approval, and approvals are not available yet",
    Verdict.MASK: "the answer would have to be masked, and inline masking is not available yet",
}
"""The verdicts that refuse an action, and what is told besides the rule's own reason."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What policy says of an action. `reason` is for the agent, and says which verdict refused it."""

    verdict: str
    operation: str
    objects: list[str]
    fingerprint: str
    reason: str
    attributes: dict[str, str]
    is_write: bool
    """Whatever is not surely a read waits for its record before it is forwarded."""
    obligations: Obligations = NOTHING

    @property
    def is_refused(self) -> bool:
        """Held actions are refused too until approvals exist, and masked ones until answers can be masked inline."""
        return self.verdict in REFUSED or self.obligations.limit_rows > 0


@dataclass(slots=True)
class _Past:
    """What a session has done, kept only while a policy asks for it."""

    actions: int = 0
    denials: int = 0
    rows_read: int = 0
    objects: set[str] = field(default_factory=set)


class Gate:
    """Classification and decision for one dialect. Rulings are remembered by (statement shape, resource, who acts)."""

    MAX_REMEMBERED = 4096
    MAX_SESSIONS = 65_536
    MAX_OBJECTS = 10_000

    def __init__(self, engine: PolicyEngine, dialect: str) -> None:
        self._engine = engine
        self._dialect = dialect
        # What a key has by its id is kept with the ruling, so the id stays its own.
        self._remembered: dict[tuple[Any, ...], tuple[Classified, Resource, Ruling]] = {}
        self._version = engine.version
        self._past: OrderedDict[str, _Past] = OrderedDict()

    def rule(self, session: Session, statement: str, *, is_whole: bool = True) -> Ruling:
        """The ruling on a statement in a session. Nothing is recorded or sent here.

        `is_whole` False: more of it is under way than was kept, so nothing can be said for it.
        """
        classified = classify(self._dialect if is_whole else UNKNOWN, statement)
        engine = self._engine
        if engine.version is not self._version:  # nothing that was ruled before holds any more
            self._remembered = {}
            self._version = engine.version
        if engine.volatile:
            return self._rule_by_history(session, classified)
        context = session.context
        resource = session.resource
        key = (id(classified), id(resource), context.principal, context.agent, context.attributes.get("groups"))
        known = self._remembered.get(key)
        if known is not None:
            return known[2]
        return self._remember(key, session, classified, History())

    def completed(self, session: Session, rows: int) -> None:
        """Rows that an action gave back, for policies that look at the session's past."""
        if self._engine.volatile:
            self._past_of(session).rows_read += rows

    def _rule_by_history(self, session: Session, classified: Classified) -> Ruling:
        """As `rule`, when a policy looks at the time, the source, or what the session has done."""
        past = self._past_of(session)
        past.actions += 1
        if len(past.objects) < self.MAX_OBJECTS:
            past.objects.update(each.name for each in classified.objects)
        history = self._history(past)
        context = session.context
        seen = tuple(getattr(history, name, context.source_ip) for name in sorted(self._engine.volatile))
        who = (context.principal, context.agent, context.attributes.get("groups"))
        key = (id(classified), id(session.resource), *who, *seen)
        known = self._remembered.get(key)
        ruling = known[2] if known else self._remember(key, session, classified, history)
        past.denials += ruling.is_refused
        return ruling

    def _past_of(self, session: Session) -> _Past:
        """The past of a session; the one that was idle longest makes room."""
        id = session.context.session_id
        past = self._past.get(id)
        if past is None:
            if len(self._past) >= self.MAX_SESSIONS:
                self._past.popitem(last=False)
            past = self._past[id] = _Past()
        self._past.move_to_end(id)
        return past

    def _history(self, past: _Past) -> History:
        now = datetime.now(UTC)
        return History(now.hour, now.isoweekday(), past.actions, past.denials, past.rows_read, len(past.objects))

    def _remember(self, key: tuple[Any, ...], session: Session, classified: Classified, history: History) -> Ruling:
        ruling = self._decide(session, classified, history)
        if len(self._remembered) >= self.MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = (classified, session.resource, ruling)
        return ruling

    def _decide(self, session: Session, classified: Classified, history: History) -> Ruling:
        context = session.context
        decision = self._engine.decide(
            ActionFacts(
                principal=context.principal,
                agent=context.agent,
                resource=context.resource,
                protocol=context.protocol,
                labels=session.resource.labels,
                classified=classified,
                groups=tuple(filter(None, context.attributes.get("groups", "").split(","))),
                source=context.source_ip,
                history=history,
            )
        )
        return Ruling(
            decision.verdict.value,
            UNKNOWN if classified.is_unknown else classified.operation.value,
            [str(item) for item in classified.objects],
            classified.fingerprint,
            _explain(decision),
            _attributes(decision),
            is_write=not classified.is_read,
            obligations=decision.obligations,
        )


def _attributes(decision: Decision) -> dict[str, str]:
    """What is recorded of a decision: which policies of which version, and what they demand."""
    demanded = decision.obligations
    attributes = {
        "policy.ids": ",".join(decision.policy_ids),
        "policy.version": decision.version,
        "policy.reason": decision.reason,
        "policy.mask": ",".join(demanded.mask),
        "policy.record": demanded.record,
        "policy.limit_rows": str(demanded.limit_rows or ""),
        "policy.notify": ",".join(demanded.notify),
    }
    return {name: value for name, value in attributes.items() if value}


def _explain(decision: Decision) -> str:
    """The rule's reason, and what keeps a verdict that is not an outright denial from being carried out."""
    limit = LIMITED if decision.obligations.limit_rows and decision.verdict not in REFUSED else ""
    return ": ".join(part for part in (decision.reason, REFUSED.get(decision.verdict, ""), limit) if part)
