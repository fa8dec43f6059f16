"""Asks policy about an action before it happens. The only place of the TCP relays that knows `policy/`."""

from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, Protocol

from ingest.claims import read_sql_claims, step_of
from ingest.masks import Masks, MasksUnready
from masking.inline.values import ValueMasker
from policy.classify import Classified, classify_shape, shape_of
from policy.decide import Decision, PolicyEngine
from policy.facts import facts_of
from policy.mask_text import write_mask
from policy.model import ApprovalObligation, History, RecordObligation, volatile_values
from policy.record_text import write_record
from schemas.events import SessionContext, Verdict
from schemas.resources import Resource

UNKNOWN: Final = "unknown"

REFUSED: Final = {
    Verdict.DENY: "",
    Verdict.HOLD: "held actions need an approval, and nothing can wait for one in this protocol",
    Verdict.MASK: "the answer would have to be masked",
}
"""The verdicts that refuse an action, and what is told besides the policy's own reason. Mask and hold do so only where
answers cannot be masked, or actions not wait; then it is told why."""

DENY: Final = Verdict.DENY.value
HOLD: Final = Verdict.HOLD.value
MASK: Final = Verdict.MASK.value

CANNOT: Final = f"{REFUSED[Verdict.MASK]}, but "
LIMITED: Final = "the answer would have to be limited, and in this protocol nobody knows its rows"
UNREADY: Final = "the proxy is only getting ready for it: try again in some seconds"


class Acting(Protocol):
    """What policy wants to know of a session."""

    @property
    def context(self) -> SessionContext: ...
    @property
    def resource(self) -> Resource: ...


class Ruling:
    """What policy says of an action. `reason` is for the agent, and says what refused it."""

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
        is_hindered: bool = False,
        is_passing: bool = False,
        approval: ApprovalObligation | None = None,
        row_limit: int = 0,
        keep: RecordObligation | None = None,
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
        self.row_limit = row_limit  # how many rows the agent may get; 0: any number
        self.keep = keep  # how much of the answer is recorded; None: as the resource's limits say
        self.approval = approval  # a held action that may wait: what it waits for
        # Who does not look at `approval` refuses: a held action is an allowed one only once it is approved.
        self.is_refused = is_hindered or verdict == DENY or verdict == HOLD or (verdict == MASK and mask is None)
        self.is_passing = is_passing  # another may follow soon: nobody remembers it
        self.shape = ""  # of the statements that it is remembered for

    def without_mask(self, fault: str) -> "Ruling":
        """The ruling when it turns out that its answer cannot be masked: a refusal, with the reason."""
        return self.refused_for(f"{CANNOT}{fault}")

    def refused_for(self, told: str) -> "Ruling":
        """The ruling when it turns out that it cannot be carried out: a refusal, with the reason."""
        return Ruling(
            self.verdict,
            self.operation,
            self.objects,
            self.fingerprint,
            ": ".join(part for part in (self.reason, told) if part),
            self.attributes,
            is_write=self.is_write,
            is_hindered=True,
        )


class _Past:
    """What a session has done, kept only while a policy asks for it."""

    def __init__(self) -> None:
        self.actions = 0
        self.denials = 0
        self.rows_read = 0
        self.objects: set[str] = set()


class Gate:
    """Classification and decision for one dialect. Rulings are remembered by (shape of statement, resource, who acts).

    Without `masks` no answer can be masked: what is said in that protocol is not understood. `can_hold`: its actions
    may wait for an approval. `can_limit`: rows of its answers can be withheld.
    """

    MAX_REMEMBERED: ClassVar[int] = 4096
    MAX_CHARS: ClassVar[int] = 4096
    MAX_SESSIONS: ClassVar[int] = 65_536
    MAX_OBJECTS: ClassVar[int] = 10_000

    def __init__(
        self,
        engine: PolicyEngine,
        dialect: str,
        masks: Masks | None = None,
        *,
        can_hold: bool = True,
        can_limit: bool = False,
    ) -> None:
        self.engine = engine
        self._masks = masks
        self._can_hold = can_hold
        self._can_limit = can_limit
        self._dialect = dialect
        # The resource, which a key has by its id, is kept with the ruling, so the id stays its own.
        self._remembered: dict[tuple[Any, ...], tuple[Resource, Ruling]] = {}
        self._version = engine.version
        self._past: OrderedDict[str, _Past] = OrderedDict()

    @property
    def looks_at_step(self) -> bool:
        """Whether policies look at the step that an agent claims to be at."""
        return "step" in self.engine.volatile

    def rule(
        self,
        session: Acting,
        statement: str,
        *,
        is_whole: bool = True,
        step: str | None = None,
        classified: Classified | None = None,
    ) -> Ruling:
        """The ruling on a statement in a session. Nothing is recorded or sent here.

        `is_whole` False: more of it is under way than was kept, so nothing can be said for it. `step`: what the agent
        claims beside the statement; None: in a comment at its end. `classified`: what it does, where more than its text
        says that.
        """
        engine = self.engine
        if engine.version is not self._version:  # nothing that was ruled before holds any more
            self._remembered = {}
            self._version = engine.version
        dialect = self._dialect if is_whole else UNKNOWN
        what: Classified | str = classified or (shape_of(dialect, statement) if is_whole else "")
        if engine.volatile:
            if step is None:
                step = step_of(read_sql_claims(statement)) if self.looks_at_step and is_whole else ""
            return self._rule_by_history(session, dialect, what, step)
        context = session.context
        resource = session.resource
        key = (dialect, what, id(resource), context.principal, context.agent, context.attributes.get("groups"))
        known = self._remembered.get(key)
        if known is not None:
            return known[1]
        return self._make(key, session, _classified(dialect, what), what, History(), "")

    def completed(self, session: Acting, rows: int) -> None:
        """Rows that an action gave back, for policies that look at the session's past."""
        if self.engine.volatile:
            self._past_of(session).rows_read += rows

    def shape_of(self, statement: str) -> str:
        """What a statement has in common with those that are ruled alike."""
        return shape_of(self._dialect, statement)

    def _rule_by_history(self, session: Acting, dialect: str, what: Classified | str, step: str) -> Ruling:
        """As `rule`, when a policy looks at the time, the source, the claimed step, or what the session has done."""
        classified = _classified(dialect, what)
        past = self._past_of(session)
        past.actions += 1
        if len(past.objects) < self.MAX_OBJECTS:
            past.objects.update(each.name for each in classified.objects)
        history = _history_of(past)
        context = session.context
        seen = volatile_values(self.engine.volatile, history, context.source_ip, step)
        who = (context.principal, context.agent, context.attributes.get("groups"))
        key = (dialect, what, id(session.resource), *who, *seen)
        known = self._remembered.get(key)
        ruling = known[1] if known is not None else self._make(key, session, classified, what, history, step)
        if ruling.is_refused and ruling.approval is None:
            past.denials += 1
        return ruling

    def refused(self, session: Acting) -> None:
        """A held action was not approved, for policies that look at the session's past."""
        if self.engine.volatile:
            self._past_of(session).denials += 1

    def _past_of(self, session: Acting) -> _Past:
        """The past of a session; the one that was idle longest makes room."""
        id = session.context.session_id
        past = self._past.get(id)
        if past is None:
            if len(self._past) >= self.MAX_SESSIONS:
                self._past.popitem(last=False)
            past = self._past[id] = _Past()
        self._past.move_to_end(id)
        return past

    def _make(
        self,
        key: tuple[Any, ...],
        session: Acting,
        classified: Classified,
        what: Classified | str,
        history: History,
        step: str,
    ) -> Ruling:
        """Decide, and remember it unless the shape is long."""
        ruling = self._decide(session, classified, history, step)
        shape = what if isinstance(what, str) else ""
        ruling.shape = shape
        if not ruling.is_passing and len(shape) <= self.MAX_CHARS:
            if len(self._remembered) >= self.MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = (session.resource, ruling)
        return ruling

    def _decide(self, session: Acting, classified: Classified, history: History, step: str) -> Ruling:
        facts = facts_of(session.context, session.resource, classified, history, step)
        decision = self.engine.decide(facts)
        mask, hindrance = self._carry_out(decision)
        return Ruling(
            decision.verdict.value,
            UNKNOWN if classified.is_unknown else classified.operation.value,
            [str(item) for item in classified.objects],
            classified.fingerprint,
            ": ".join(part for part in (decision.reason, hindrance) if part),
            _attributes(decision),
            is_write=not classified.is_read,
            mask=mask,
            is_hindered=bool(hindrance),
            is_passing=hindrance.endswith(UNREADY),
            approval=None if hindrance else decision.obligations.approval,
            row_limit=decision.obligations.limit_rows,
            keep=decision.obligations.record,
        )

    def _carry_out(self, decision: Decision) -> tuple[ValueMasker | None, str]:
        """What masks the answer, and what is told of a verdict that cannot be carried out."""
        demanded = decision.obligations
        if decision.verdict is Verdict.DENY:
            return None, ""
        if decision.verdict is Verdict.HOLD and not self._can_hold:
            return None, REFUSED[Verdict.HOLD]
        if demanded.limit_rows > 0 and not self._can_limit:
            return None, LIMITED
        if demanded.mask is None:
            return None, f"{CANNOT}policy does not say what of it" if decision.verdict is Verdict.MASK else ""
        if self._masks is None:
            return None, f"{CANNOT}what is said in this protocol is not understood"
        try:
            return self._masks.masker_for(demanded.mask), ""
        except MasksUnready:
            return None, CANNOT + UNREADY
        except ValueError as error:
            return None, CANNOT + str(error)


def _classified(dialect: str, what: Classified | str) -> Classified:
    """What a statement does, of its shape unless more than its text has said it."""
    return classify_shape(dialect, what) if isinstance(what, str) else what


class SessionGate:
    """The gate as one session sees it: a statement of a shape that was executed before is found by that alone.

    Not while policies look at more than that; and nothing outlives the policies it was ruled by.
    """

    MAX_SHAPES: ClassVar[int] = 64
    MAX_CHARS: ClassVar[int] = 4096

    def __init__(self, gate: Gate, session: Acting) -> None:
        self._gate = gate
        self._engine = gate.engine
        self._session = session
        self._shapes: dict[str, Ruling] = {}
        self._version = ""
        self._is_volatile = False

    def rule(self, statement: str, is_whole: bool) -> Ruling:
        """The ruling on a statement, as Gate.rule."""
        if self._engine.version is not self._version:
            self._version = self._engine.version
            self._is_volatile = len(self._engine.volatile) > 0
            self._shapes = {}
        if self._is_volatile or not is_whole or len(statement) > self.MAX_CHARS:
            return self._gate.rule(self._session, statement, is_whole=is_whole)
        known = self._shapes.get(statement)  # without numbers in it a statement is its own shape
        if known is not None:
            return known
        shape = self._gate.shape_of(statement)
        known = self._shapes.get(shape)
        if known is None:
            known = self._gate.rule(self._session, statement)
            if not known.is_passing:
                if len(self._shapes) >= self.MAX_SHAPES:
                    self._shapes.clear()
                self._shapes[shape] = known
        return known

    def completed(self, rows: int) -> None:
        """As Gate.completed."""
        self._gate.completed(self._session, rows)

    def refused(self) -> None:
        """As Gate.refused."""
        self._gate.refused(self._session)


def _history_of(past: _Past) -> History:
    now = datetime.now(UTC)
    return History(now.hour, now.isoweekday(), past.actions, past.denials, past.rows_read, len(past.objects))


def _attributes(decision: Decision) -> dict[str, str]:
    """What is recorded of a decision: which policies of which version, and what they demand."""
    demanded = decision.obligations
    attributes = {
        "policy.ids": ",".join(decision.policy_ids),
        "policy.version": decision.version,
        "policy.reason": decision.reason,
        "policy.mask": "" if demanded.mask is None else write_mask(demanded.mask),
        "policy.record": "" if demanded.record is None else write_record(demanded.record),
        "policy.limit_rows": str(demanded.limit_rows or ""),
        "policy.notify": ",".join(demanded.notify),
    }
    return {name: value for name, value in attributes.items() if value}
