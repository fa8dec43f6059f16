"""Who may open a session: nobody who is stopped, and nobody whom policy does not let connect. Asked once a session."""

from datetime import UTC, datetime
from typing import Final, Protocol

from ingest.quarantine import Quarantines
from ingest.session import Session
from policy.facts import facts_of
from policy.model import ActionFacts, Classified, Decision, History, Operation
from schemas.errors import CustodyError, Fault
from schemas.events import EventKind, SessionContext, Verdict
from schemas.resources import Resource

QUARANTINED: Final = "quarantined"
"""The reason with which a session of somebody who is stopped closes."""
DENIED: Final = "denied"
_NO_STATEMENT: Final = Classified(Operation.READ)


class Engine(Protocol):
    """Policy, as far as it is asked here."""

    def decide_connection(self, facts: ActionFacts) -> Decision | None: ...


class SessionRefused(CustodyError):
    """This session may not be. The message is the reason, which is told to the agent; `name` is its kind."""

    fault = Fault.CALLER

    def __init__(self, name: str, reason: str, decision: Decision | None = None) -> None:
        super().__init__(reason)
        self.name = name
        self._decision = decision

    def record(self, session: Session, resource: str) -> None:
        """Write the whole session: what was asked, who refused it, the end. Raises AuditUnavailable."""
        decision = self._decision
        if decision is not None:
            facts = {"policy.ids": ",".join(decision.policy_ids), "policy.version": decision.version}
            action_id = session.next_action_id()
            for kind in (EventKind.ACTION_REQUESTED, EventKind.ACTION_DECIDED, EventKind.ACTION_COMPLETED):
                session.record(
                    kind.value,
                    action_id=action_id,
                    statement=f"CONNECT {resource}" if kind is EventKind.ACTION_REQUESTED else "",
                    operation="connect",
                    verdict=Verdict.DENY.value,
                    status=DENIED if kind is EventKind.ACTION_COMPLETED else "",
                    attributes={name: value for name, value in facts.items() if value},
                )
        session.close(self.name, error=str(self))


class Admission:
    """Asked as each session opens; the ones that are open go on when policies change."""

    def __init__(self, quarantines: Quarantines, engine: Engine) -> None:
        self._quarantines = quarantines
        self._engine = engine

    def check(self, context: SessionContext, resource: Resource) -> None:
        """Raises SessionRefused."""
        reason = self._quarantines.reason_of(context)
        if reason is not None:
            raise SessionRefused(QUARANTINED, reason)
        now = datetime.now(UTC)
        facts = facts_of(context, resource, _NO_STATEMENT, History(now.hour, now.isoweekday()))
        decision = self._engine.decide_connection(facts)
        if decision is not None and decision.verdict is Verdict.DENY:
            told = decision.reason or ", ".join(decision.policy_ids)
            raise SessionRefused(DENIED, f"policy does not let {context.agent} connect: {told}", decision)
