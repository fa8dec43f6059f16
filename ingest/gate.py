"""Asks policy about an action before it happens. The only place of the TCP relays that knows `policy/`."""

from dataclasses import dataclass
from typing import Final

from policy.classify import Classified, classify
from policy.decide import ActionFacts, PolicyEngine

from ingest.session import Session
from schemas.events import Verdict

READ: Final = "read"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What policy says of an action."""

    verdict: str
    operation: str
    objects: list[str]
    fingerprint: str
    reason: str
    attributes: dict[str, str]

    @property
    def is_write(self) -> bool:
        """Whatever is not surely a read waits for its record before it is forwarded."""
        return self.operation != READ

    @property
    def is_refused(self) -> bool:
        """Held actions are refused too until approvals exist."""
        return self.verdict in (Verdict.DENY, Verdict.HOLD)


class Gate:
    """Classification and decision for one dialect."""

    def __init__(self, engine: PolicyEngine, dialect: str) -> None:
        self._engine = engine
        self._dialect = dialect

    def rule(self, session: Session, statement: str) -> Ruling:
        """The ruling on a statement in a session. Pure: nothing is recorded or sent here."""
        classified = classify(self._dialect, statement)
        return self._ruling(session, classified)

    def _ruling(self, session: Session, classified: Classified) -> Ruling:
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
            UNKNOWN if classified.is_unknown else str(classified.operation),
            [f"{item.access}:{item.name}" for item in classified.objects],
            classified.fingerprint,
            decision.reason,
            attributes,
        )
