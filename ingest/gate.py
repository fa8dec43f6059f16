"""Asks policy about an action before it happens. The only place of the TCP relays that knows `policy/`."""

from typing import ClassVar, Final, Protocol

from ingest.masks import Masks
from masking.inline.values import ValueMasker
from policy.classify import Classified, classify
from policy.decide import ActionFacts, Decision, PolicyEngine
from schemas.events import SessionContext, Verdict
from schemas.resources import Resource

UNKNOWN: Final = "unknown"

REFUSED: Final = {
    Verdict.DENY: "",
    Verdict.HOLD: "held actions need an approval, and approvals are not available yet",
    Verdict.MASK: "the answer would have to be masked",
}
"""The verdicts that refuse an action, and what is told besides the rule's own reason. Mask does so only where answers
cannot be masked; then it is told why."""


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
        mask: ValueMasker | None = None,
    ) -> None:
        self.verdict = verdict
        self.operation = operation
        self.objects = objects
        self.fingerprint = fingerprint
        self.reason = reason
        self.attributes = attributes
        # Whatever is not surely a read waits for its record before it is forwarded.
        self.is_write = is_write
        self.mask = mask  # what masks the answer on its way to the agent
        # Held actions are refused too until approvals exist, and masked ones where answers cannot be masked.
        self.is_refused = verdict in REFUSED and mask is None

    def without_mask(self, fault: str) -> "Ruling":
        """The ruling when it turns out that its answer cannot be masked: a refusal, with the reason."""
        told = f"{REFUSED[Verdict.MASK]}, but {fault}"
        return Ruling(
            self.verdict,
            self.operation,
            self.objects,
            self.fingerprint,
            ": ".join(part for part in (self.reason, told) if part),
            self.attributes,
            is_write=self.is_write,
        )


class Gate:
    """Classification and decision for one dialect. Rulings are remembered by (statement shape, resource, who acts).

    Without `masks` no answer can be masked: what is said in that protocol is not understood.
    """

    MAX_REMEMBERED: ClassVar[int] = 4096

    def __init__(self, engine: PolicyEngine, dialect: str, masks: Masks | None = None) -> None:
        self._engine = engine
        self._masks = masks
        self._dialect = dialect
        # The classified object and the resource are kept with their ruling, so their ids stay their own.
        self._remembered: dict[tuple[int, int, str, str], tuple[Classified, Resource, Ruling]] = {}

    def rule(self, session: Acting, statement: str, *, is_whole: bool = True) -> Ruling:
        """The ruling on a statement in a session. Nothing is recorded or sent here.

        `is_whole` False: more of it is under way than was kept, so nothing can be said for it.
        """
        classified = classify(self._dialect if is_whole else UNKNOWN, statement)
        resource = session.resource
        key = (id(classified), id(resource), session.context.principal, session.context.agent)
        known = self._remembered.get(key)
        if known is not None:
            return known[2]
        ruling = self._decide(session, classified)
        if len(self._remembered) >= self.MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = (classified, resource, ruling)
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
        mask, unmasked = self._mask_for(decision)
        return Ruling(
            decision.verdict.value,
            UNKNOWN if classified.is_unknown else classified.operation.value,
            [str(item) for item in classified.objects],
            classified.fingerprint,
            _explain(decision, unmasked),
            attributes,
            is_write=not classified.is_read,
            mask=mask,
        )

    def _mask_for(self, decision: Decision) -> tuple[ValueMasker | None, str]:
        """What masks the answer, or why nothing can."""
        if decision.verdict is not Verdict.MASK:
            return None, ""
        if decision.mask is None:
            return None, "policy does not say what of it"
        if self._masks is None:
            return None, "what is said in this protocol is not understood"
        try:
            return self._masks.masker_for(decision.mask), ""
        except ValueError as error:
            return None, str(error)


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


def _explain(decision: Decision, unmasked: str) -> str:
    """The rule's reason, and what keeps a verdict that is not an outright denial from being carried out."""
    if decision.verdict is Verdict.MASK:
        return ": ".join(
            part for part in (decision.reason, unmasked and f"{REFUSED[Verdict.MASK]}, but {unmasked}") if part
        )
    return ": ".join(part for part in (decision.reason, REFUSED.get(decision.verdict, "")) if part)
