"""Asks policy about an action before it happens. The only place of the TCP relays that knows `policy/`."""

from typing import ClassVar, Final, Protocol

from policy.classify import Classified, classify
from policy.decide import ActionFacts, Decision, PolicyEngine
from schemas.events import SessionContext, Verdict
from schemas.resources import Resource

UNKNOWN: Final = "unknown"

REFUSED: Final = {
    Verdict.DENY: "",
    Verdict.HOLD: "held actions need an approval, and approvals are not available yet",
    Verdict.MASK: "the answer would have to be masked, and inline masking is not available yet",
}
"""The verdicts that refuse an action, and what is told besides the rule's own reason."""


class Acting(Protocol):
    """What policy wants to know of a session."""

    @property
    def context(self) -> SessionContext: ...
    @property
    def resource(self) -> Resource: ...


class Ruling:
    """What policy says of an action. `reason` is for the agent, and says which verdict refused it."""

    def __init__(
        self,
        verdict: str,
        operation: str,
        objects: list[str],
        fingerprint: str,
        reason: str,
        attributes: dict[str, str],
        *,
        is_write: bool,
    ) -> None:
        self.verdict = verdict
        self.operation = operation
        self.objects = objects
        self.fingerprint = fingerprint
        self.reason = reason
        self.attributes = attributes
        # Whatever is not surely a read waits for its record before it is forwarded.
        self.is_write = is_write
        # Held actions are refused too until approvals exist, and masked ones until answers can be masked inline.
        self.is_refused = verdict in REFUSED


class Gate:
    """Classification and decision for one dialect. Rulings are remembered by (statement shape, who acts)."""

    MAX_REMEMBERED: ClassVar[int] = 4096

    def __init__(self, engine: PolicyEngine, dialect: str) -> None:
        self._engine = engine
        self._dialect = dialect
        # The classified object is kept with its ruling, so its id stays its own.
        self._remembered: dict[tuple[int, str, str], tuple[Classified, Ruling]] = {}

    def rule(self, session: Acting, statement: str, *, is_whole: bool = True) -> Ruling:
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

    def _decide(self, session: Acting, classified: Classified) -> Ruling:
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


class SessionGate:
    """The gate as one session sees it: a statement that is executed again is found by its text alone."""

    MAX_TEXTS: ClassVar[int] = 64
    MAX_CHARS: ClassVar[int] = 4096

    def __init__(self, gate: Gate, session: Acting) -> None:
        self._gate = gate
        self._session = session
        self._texts: dict[str, Ruling] = {}

    def rule(self, statement: str, is_whole: bool) -> Ruling:
        """The ruling on a statement, as Gate.rule."""
        if not is_whole or len(statement) > self.MAX_CHARS:
            return self._gate.rule(self._session, statement, is_whole=is_whole)
        known = self._texts.get(statement)
        if known is None:
            known = self._gate.rule(self._session, statement)
            if len(self._texts) >= self.MAX_TEXTS:
                self._texts.clear()
            self._texts[statement] = known
        return known


def _explain(decision: Decision) -> str:
    """The rule's reason, and what keeps a verdict that is not an outright denial from being carried out."""
    return ": ".join(part for part in (decision.reason, REFUSED.get(decision.verdict, "")) if part)
