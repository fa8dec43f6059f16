"""Which actions wait for a person, and how the others ended: read off the masked log, batch by batch. Pure.

A batch may come twice, and one may be told of before what came before it was seen: an action that has ended stays
ended, whatever comes again.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, replace
from typing import Final

from schemas.events import Event, EventBatch, EventKind, SessionContext

NEEDLES: Final = (b"approval.requested", b"approval.decided", b"proxy.started")
"""A batch without any of these as bytes says nothing about approvals."""

FINAL: Final = frozenset({"approved", "denied", "timeout", "withdrawn"})
MAX_ENDED: Final = 10_000
MAX_WAITING: Final = 10_000
MAX_REFUSED: Final = 1_000


@dataclass(frozen=True, slots=True)
class HeldAction:
    """What an approver sees. Everything in it is masked. Times are µs since the epoch, UTC."""

    approval_id: str
    session_id: str
    action_id: str
    digest: str
    principal: str
    agent: str
    resource: str
    protocol: str
    kind: str
    operation: str
    objects: tuple[str, ...]
    statement: str
    parameters: tuple[str | None, ...]
    content: str
    reason: str
    approvers: int
    asked_at: int
    expires_at: int
    fingerprint: str = ""
    run_id: str = ""
    delegation: tuple[tuple[str, str], ...] = ()
    notify: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    approved_by: tuple[str, ...] = ()
    proxy_id: str = ""
    proxy_epoch: str = ""

    @property
    def id(self) -> str:
        """Under which it is told."""
        return self.approval_id

    @property
    def own(self) -> frozenset[str]:
        """Those who cannot approve it: the agent, and whoever it acts for."""
        chain = {name for hop in self.delegation for name in hop}
        return frozenset({self.principal, self.agent} | chain)


@dataclass(frozen=True, slots=True)
class Ending:
    """How the waiting ended. `status`: approved, denied, timeout, withdrawn, or lost (its proxy was restarted)."""

    status: str
    approver: str
    error: str
    delay_us: int
    at: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A decision that did not count, and why. `written_at`: the decision's own time; 0 where its proxy told none."""

    approval_id: str
    approver: str
    error: str
    written_at: int = 0


class Pending:
    """See above."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, HeldAction] = OrderedDict()
        self._ended: OrderedDict[str, Ending] = OrderedDict()
        self._refused: deque[Refused] = deque(maxlen=MAX_REFUSED)
        self.refused_count = 0

    def take(self, batch: EventBatch) -> list[HeldAction]:
        """What a batch says; the actions that wait because of it."""
        found = []
        for item in batch.events:
            event = item.event
            if event.kind == EventKind.APPROVAL_REQUESTED:
                held = _held_from(batch, batch.sessions[item.session], event)
                if self._add(held):
                    found.append(held)
            elif event.kind == EventKind.APPROVAL_DECIDED:
                self._decide(event)
            elif event.kind == EventKind.PROXY_STARTED:
                self._restart(batch.proxy_id, event)
        return [held for held in found if held.approval_id in self._waiting]

    def waiting(self, now_us: int) -> list[HeldAction]:
        """What waits at a time, the oldest first."""
        return [held for held in self._waiting.values() if held.expires_at > now_us]

    def find(self, approval_id: str) -> HeldAction | None:
        """An action that waits, or waited until its time was over."""
        return self._waiting.get(approval_id)

    def ending(self, approval_id: str) -> Ending | None:
        """How an action's wait ended; None while it waits, and when nothing is known of it."""
        return self._ended.get(approval_id)

    def refused_since(self, count: int) -> list[Refused]:
        """Decisions that did not count, after the first `count` of all; of very many the newest."""
        new = min(self.refused_count - count, len(self._refused))
        return list(self._refused)[len(self._refused) - new :]

    def _add(self, held: HeldAction) -> bool:
        id = held.approval_id
        if not id or id in self._ended or id in self._waiting:
            return False
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popitem(last=False)
        self._waiting[id] = held
        return True

    def _decide(self, event: Event) -> None:
        facts = event.attributes
        id, approver = facts.get("approval.id", ""), facts.get("approval.approver", "")
        if event.status in FINAL and id not in self._ended:
            self._end(id, Ending(event.status, approver, event.error, event.duration_us, event.at))
        elif event.status == "counted" and id in self._waiting:
            held = self._waiting[id]
            if approver not in held.approved_by:
                self._waiting[id] = replace(held, approved_by=(*held.approved_by, approver))
        elif event.status in ("refused", "ignored"):
            written_at = _number(facts.get("approval.written_at", "0"))
            self._refused.append(Refused(id, approver, event.error, written_at))
            self.refused_count += 1

    def _restart(self, proxy_id: str, event: Event) -> None:
        """What waited in an earlier run of a proxy is gone."""
        epoch = event.attributes.get("epoch", "")
        for held in [each for each in self._waiting.values() if each.proxy_id == proxy_id]:
            if held.proxy_epoch != epoch and held.asked_at < event.at:
                self._end(held.approval_id, Ending("lost", "", "its proxy was restarted", 0, event.at))

    def _end(self, id: str, ending: Ending) -> None:
        self._waiting.pop(id, None)
        self._ended[id] = ending
        if len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)


def _held_from(batch: EventBatch, context: SessionContext, event: Event) -> HeldAction:
    facts = event.attributes
    return HeldAction(
        facts.get("approval.id", ""),
        context.session_id,
        event.action_id,
        facts.get("approval.digest", ""),
        context.principal,
        context.agent,
        context.resource,
        context.protocol,
        facts.get("kind", ""),
        event.operation,
        tuple(event.objects),
        event.statement,
        tuple(event.parameters),
        "" if event.payload_type == "binary" else event.payload.decode("utf-8", "replace"),
        facts.get("approval.reason", ""),
        _number(facts.get("approval.approvers", "1")),
        event.at,
        _number(facts.get("approval.expires_at", "0")),
        event.fingerprint,
        context.run_id,
        tuple((hop.actor, hop.on_behalf_of) for hop in context.delegation),
        split_names(facts.get("policy.notify", "")),
        split_names(facts.get("policy.ids", "")),
        (),
        batch.proxy_id,
        batch.proxy_epoch,
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def split_names(text: str) -> tuple[str, ...]:
    """A list with commas, as decisions are recorded."""
    return tuple(part for part in text.split(",") if part)
