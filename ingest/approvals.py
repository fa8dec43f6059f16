"""Held actions of one proxy process, until people have decided: who may, which decision counts, what is recorded.

Everything is kept in memory and runs on the loop's thread, so the first of decision, time limit and end of the session
is the one that holds. After a restart no action waits, and no decision of before finds one. A decision that does not
count is recorded, and changes nothing.
"""

import asyncio
import hmac
import json
import logging
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from masking.tokens import DigestKey
from policy.model import ApprovalObligation
from schemas import approvals as model
from schemas import config
from schemas.clock import now_us
from schemas.errors import AuditUnavailable
from schemas.events import EventKind, SessionContext, Verdict
from schemas.names import fold_name

log = logging.getLogger(__name__)

MAX_OVER: Final = 1_000
"""Decided actions that are remembered, to tell a second decision from one that is for another proxy."""
MAX_SHAPES: Final = 10_000
LOOK_S: Final = 1.0
"""How often a waiting HTTP request looks whether its agent is still there."""


class Recording(Protocol):
    """A session, as far as approvals need it."""

    context: SessionContext
    is_closed: bool

    def record(
        self,
        kind: str,
        *,
        action_id: str = "",
        statement: str = "",
        fingerprint: str = "",
        parameters: list[str | None] = ...,
        operation: str = "",
        objects: list[str] = ...,
        verdict: str = "none",
        status: str = "",
        error: str = "",
        duration_us: int = 0,
        attributes: dict[str, str] = ...,
        payload: bytes = b"",
        payload_type: str = "",
        payload_bytes: int = 0,
    ) -> int: ...


@dataclass(slots=True, frozen=True)
class Question:
    """What is asked: the whole of an action, as it will go upstream if it is approved."""

    action_id: str
    statement: str
    fingerprint: str
    approval: ApprovalObligation
    kind: str = "query"
    parameters: list[str | None] = field(default_factory=list)
    operation: str = ""
    objects: list[str] = field(default_factory=list)
    payload: bytes = b""
    payload_type: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class Outcome:
    """How the waiting ended. `ticket` is that of its record; `told` is for the agent; `code` one of approved, denied,
    timeout, withdrawn, refused."""

    is_allowed: bool
    code: str
    told: str
    approval_id: str = ""
    ticket: int = 0


@dataclass(slots=True, eq=False)
class Held:
    """An action that waits."""

    id: str
    session: Recording
    question: Question
    digest: str
    limit_s: float
    version: str
    on_outcome: Callable[[Outcome], None]
    ticket: int = 0  # of its approval.requested
    since: float = field(default_factory=time.monotonic)
    approvals: dict[str, model.Decision] = field(default_factory=dict)
    timer: asyncio.TimerHandle | None = None

    @property
    def notice(self) -> str:
        """What the agent is told while it waits."""
        people = f"{self.question.approval.approvers} people" if self.question.approval.approvers > 1 else "a person"
        return f"Custody: this waits for {people} to approve it, for at most {self.limit_s:.0f} s: approval {self.id}"


class Approvals:
    """All that waits in this process. `version` gives that of the policies in force: with them end approved shapes."""

    def __init__(self, settings: config.Approvals, digest_key: DigestKey, version: Callable[[], str]) -> None:
        self._settings = settings
        self._digest_key = digest_key
        self._version = version
        self._held: dict[str, Held] = {}
        self._over: OrderedDict[str, tuple[Recording, str, str]] = OrderedDict()
        self._per_agent: Counter[tuple[str, str]] = Counter()
        self._shapes: dict[tuple[str, str, str], tuple[float, str, str]] = {}

    @property
    def count(self) -> int:
        """Actions that wait now."""
        return len(self._held)

    def ask(self, session: Recording, question: Question, on_outcome: Callable[[Outcome], None]) -> Held | Outcome:
        """Have people asked. An Outcome when there is one at once: its shape is approved, or too many wait already.

        Else `on_outcome` is called once, later, unless the wait is withdrawn. Raises AuditUnavailable.
        """
        known = self._approved_shape(session, question)
        if known is not None:
            return known
        context = session.context
        agent = (context.principal, context.agent)
        limits = self._settings
        if len(self._held) >= limits.max_pending or self._per_agent[agent] >= limits.max_pending_per_agent:
            return Outcome(False, "refused", "too many actions wait for an approval already")
        held = Held(
            secrets.token_hex(6),
            session,
            question,
            self._digest(session, question),
            question.approval.within_s or limits.timeout_s,
            self._version(),
            on_outcome,
        )
        held.ticket = self._record_request(held)
        self._held[held.id] = held
        self._per_agent[agent] += 1
        held.timer = asyncio.get_running_loop().call_later(held.limit_s, self._expire, held)
        return held

    async def wait(self, session: Recording, question: Question, is_gone: Callable[[], bool]) -> Outcome:
        """As `ask`, for who can wait. `is_gone` is looked at from time to time. Raises AuditUnavailable."""
        decided: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        held = self.ask(session, question, decided.set_result)
        if isinstance(held, Outcome):
            return held
        try:
            while not decided.done():
                await asyncio.wait({decided}, timeout=LOOK_S)
                if held.id not in self._held:
                    break
                if is_gone():
                    return self.withdraw(held, "the agent broke off")
        except asyncio.CancelledError:
            self.withdraw(held, "the connection ended")
            raise
        return decided.result() if decided.done() else Outcome(False, "withdrawn", "withdrawn", held.id)

    def decide(self, decision: model.Decision) -> None:
        """Take a person's decision, as it comes from control. Those for other proxies' actions do nothing."""
        held = self._held.get(decision.approval_id)
        if held is None:
            self._tell_late(decision)
            return
        fault = self._fault_of(decision, held)
        if fault:
            log.warning("a decision on approval %s does not count: %s", held.id, fault)
            self._note(held.session, held.question.action_id, "refused", decision, fault)
            return
        if decision.verdict == "deny":
            told = f"denied by {decision.approver}" + (f": {decision.reason}" if decision.reason else "")
            self._finish(held, "denied", told, [decision])
            return
        held.approvals[fold_name(decision.approver)] = decision
        given = list(held.approvals.values())
        if len(given) < held.question.approval.approvers:
            told = f"{len(given)} of {held.question.approval.approvers}"
            self._note(held.session, held.question.action_id, "counted", decision, told)
            return
        self._finish(held, "approved", "approved", given)

    def withdraw(self, held: Held, why: str) -> Outcome:
        """Nobody waits for it any more. Its outcome, which is given to the caller alone."""
        if held.id not in self._held:
            return Outcome(False, "withdrawn", why, held.id)
        return self._close(held, "withdrawn", why, [])

    def end_session(self, session_id: str, why: str) -> None:
        """Withdraw all that waits in a session, and forget which shapes were approved in it."""
        for held in [each for each in self._held.values() if each.session.context.session_id == session_id]:
            self.withdraw(held, why)
        for key in [key for key in self._shapes if key[0] == session_id]:
            del self._shapes[key]

    # -- which decisions count

    def _fault_of(self, decision: model.Decision, held: Held) -> str:
        """Why a decision does not count; empty when it does."""
        context = held.session.context
        if decision.session_id != context.session_id or not hmac.compare_digest(decision.digest, held.digest):
            return "it is for another action"
        if decision.verdict == "deny":
            return ""
        if fold_name(decision.approver) in {fold_name(name) for name in _own(context)}:
            return "nobody approves the actions of an agent of their own"
        if decision.scope == "shape" and not (held.question.fingerprint and decision.minutes):
            return "an action without a known shape, or without a time, is approved once or not at all"
        if fold_name(decision.approver) in held.approvals:
            return "the same person has approved it already"
        return ""

    def _tell_late(self, decision: model.Decision) -> None:
        known = self._over.get(decision.approval_id)
        if known is not None:
            session, action_id, how = known
            self._note(session, action_id, "ignored", decision, f"decided already: {how}")

    # -- shapes

    def _approved_shape(self, session: Recording, question: Question) -> Outcome | None:
        if not question.fingerprint:
            return None
        key = (session.context.session_id, question.fingerprint, self._version())
        until, id, who = self._shapes.get(key, (0.0, "", ""))
        if until <= time.monotonic():
            return None
        attributes = {"approval.id": id, "approval.approver": who, "approval.scope": "shape"}
        ticket = session.record(
            EventKind.APPROVAL_DECIDED,
            action_id=question.action_id,
            verdict=Verdict.ALLOW.value,
            status="approved",
            attributes=attributes,
        )
        return Outcome(True, "approved", "approved", id, ticket)

    def _minutes_of(self, held: Held, given: list[model.Decision]) -> int:
        """For how many minutes actions like this one pass from now on: when all who approve say so; else 0."""
        if any(each.scope != "shape" for each in given) or held.version != self._version():
            return 0
        if len(self._shapes) >= MAX_SHAPES:
            now = time.monotonic()
            self._shapes = {key: value for key, value in self._shapes.items() if value[0] > now}
        return min(each.minutes for each in given) if len(self._shapes) < MAX_SHAPES else 0

    def _keep_shape(self, held: Held, given: list[model.Decision], minutes: int) -> None:
        key = (held.session.context.session_id, held.question.fingerprint, held.version)
        self._shapes[key] = (time.monotonic() + 60 * minutes, held.id, ", ".join(each.approver for each in given))

    # -- ends

    def _expire(self, held: Held) -> None:
        if held.id in self._held:
            self._finish(held, "timeout", f"nobody has decided within {held.limit_s:.0f} s", [])

    def _finish(self, held: Held, code: str, told: str, given: list[model.Decision]) -> None:
        held.on_outcome(self._close(held, code, told, given))

    def _close(self, held: Held, code: str, told: str, given: list[model.Decision]) -> Outcome:
        """Nothing waits any more: record how it ended. What cannot be recorded is not allowed."""
        del self._held[held.id]
        context = held.session.context
        agent = (context.principal, context.agent)
        self._per_agent[agent] -= 1
        if self._per_agent[agent] <= 0:
            del self._per_agent[agent]
        if held.timer is not None:
            held.timer.cancel()
        how = f"{code} by {', '.join(each.approver for each in given)}" if given else code
        self._over[held.id] = (held.session, held.question.action_id, how)
        if len(self._over) > MAX_OVER:
            self._over.popitem(last=False)
        minutes = self._minutes_of(held, given) if code == "approved" else 0
        try:
            ticket = 0 if held.session.is_closed else self._record_end(held, code, told, given, minutes)
        except AuditUnavailable:
            return Outcome(False, "refused", f"the audit log does not answer (approval {held.id})", held.id)
        if minutes:
            self._keep_shape(held, given, minutes)
        is_allowed = code == "approved" and not held.session.is_closed
        return Outcome(is_allowed, code, f"{told} (approval {held.id})", held.id, ticket)

    # -- the record

    def _digest(self, session: Recording, question: Question) -> str:
        """A keyed digest of all that an approval is for."""
        parts = (session.context.session_id, question.action_id, question.kind, question.statement)
        digest = self._digest_key.digest(b"custody.approval.v1\x00")
        digest.update(json.dumps([*parts, question.parameters]).encode())
        digest.update(b"\x00" + question.payload)
        return digest.hexdigest()

    def _record_request(self, held: Held) -> int:
        question = held.question
        return held.session.record(
            EventKind.APPROVAL_REQUESTED,
            action_id=question.action_id,
            statement=question.statement,
            fingerprint=question.fingerprint,
            parameters=question.parameters,
            operation=question.operation,
            objects=question.objects,
            verdict=Verdict.HOLD.value,
            attributes={
                **question.attributes,
                "kind": question.kind,
                "approval.id": held.id,
                "approval.digest": held.digest,
                "approval.reason": question.approval.reason,
                "approval.approvers": str(question.approval.approvers),
                "approval.expires_at": str(now_us() + int(held.limit_s * 1e6)),
            },
            payload=question.payload,
            payload_type=question.payload_type,
            payload_bytes=len(question.payload),
        )

    def _record_end(self, held: Held, code: str, told: str, given: list[model.Decision], minutes: int) -> int:
        facts = {
            "approval.id": held.id,
            "approval.approver": ", ".join(each.approver for each in given),
            "approval.scope": "shape" if minutes else "once" if code == "approved" else "",
            "approval.minutes": str(minutes or ""),
            "approval.comment": "; ".join(each.reason for each in given if each.reason),
        }
        return held.session.record(
            EventKind.APPROVAL_DECIDED,
            action_id=held.question.action_id,
            verdict=(Verdict.ALLOW if code == "approved" else Verdict.DENY).value,
            status=code,
            error="" if code == "approved" else told,
            duration_us=int((time.monotonic() - held.since) * 1e6),
            attributes={name: value for name, value in facts.items() if value},
        )

    def _note(self, session: Recording, action_id: str, status: str, decision: model.Decision, why: str) -> None:
        """Record a decision that does not, or does not yet, decide."""
        if session.is_closed:
            return
        try:
            session.record(
                EventKind.APPROVAL_DECIDED,
                action_id=action_id,
                status=status,
                error=why,
                attributes={
                    "approval.id": decision.approval_id,
                    "approval.approver": decision.approver,
                    "approval.verdict": decision.verdict,
                    "approval.written_at": str(decision.at),
                },
            )
        except AuditUnavailable:
            log.error("a decision on approval %s could not be recorded", decision.approval_id)


def _own(context: SessionContext) -> Iterable[str]:
    """Everybody on whose behalf a session acts, and the agent itself."""
    yield context.principal
    yield context.agent
    for hop in context.delegation:
        yield hop.actor
        yield hop.on_behalf_of
