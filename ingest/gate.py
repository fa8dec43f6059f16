"""Asks policy about an action before it happens. The only place of the TCP relays that knows `policy/`."""

from dataclasses import dataclass
from typing import Final

from ingest.session import Session
from policy.classify import Classified, classify
from policy.decide import ActionFacts, Decision, PolicyEngine
from schemas.events import Verdict

UNKNOWN: Final = "unknown"

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

    @property
    def is_refused(self) -> bool:
        """Held actions are refused too until approvals exist, and masked ones until answers can be masked inline."""
        return self.verdict in REFUSED


class Gate:
    """Classification and decision for one dialect. Rulings are remembered by (statement shape, who acts)."""

    MAX_REMEMBERED = 4096

    def __init__(self, engine: PolicyEngine, dialect: str) -> None:
        self._engine = engine
        self._dialect = dialect
        # The classified object is kept with its ruling, so its id stays its own.
        self._remembered: dict[tuple[int, str, str], tuple[Classified, Ruling]] = {}

    def rule(self, session: Session, statement: str, *, is_whole: bool = True) -> Ruling:
        """The ruling on a statement in a session. Nothing is recorded or sent here.

        `is_whole` False: more of it is under way than was kept, so nothing can be said for it.
        """
        classified = classify(self._dialect if is_whole else UNKNOWN, statement)
        key = (id(classified), session.context.principal, session.context.agent)
        known = self._remembered.get(key)
        if known is not None:
            return known[1]
        ruling = self._decide(session, classified)
        if len(self._remembered) >= self.MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = (classified, ruling)
        return ruling

    def _decide(self, session: Session, classified: Classified) -> Ruling:
        context = session.context
        decision = self._engine.decide(
            ActionFacts(
                principal=context.principal,
                agent=context.agent,
                resource=context.resource,
                protocol=context.protocol,
                labels=session.resource.labels,
                classified=classified,
            )
        )
        attributes = {}
        if decision.policy_ids:
            attributes["policy.ids"] = ",".join(decision.policy_ids)
        if decision.reason:
            attributes["policy.reason"] = decision.reason
        return Ruling(
            decision.verdict.value,
            UNKNOWN if classified.is_unknown else classified.operation.value,
            [str(item) for item in classified.objects],
            classified.fingerprint,
            _explain(decision),
            attributes,
            is_write=not classified.is_read,
        )


def _explain(decision: Decision) -> str:
    """The rule's reason, and what keeps a verdict that is not an outright denial from being carried out."""
    return ": ".join(part for part in (decision.reason, REFUSED.get(decision.verdict, "")) if part)
