"""Decisions of which a policy wants somebody to know (`@notify`), read off the masked log, batch by batch. Pure.

An action that waits for people is told of as such (pending.py). Of others the first is told at once; those of the same
policies, agent, resource and verdict within `QUIET_US` are counted, and the next one that is told says how many.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from schemas.events import Event, EventBatch, EventKind, SessionContext, Verdict
from sinks.approvals.pending import split_names

NEEDLE: Final = b"policy.notify"
"""A batch without it as bytes holds no such decision."""
QUIET_US: Final = 60_000_000
MAX_KINDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Notice:
    """What a receiver is told. Everything in it is masked. `at`: µs since the epoch, UTC."""

    session_id: str
    action_id: str
    principal: str
    agent: str
    resource: str
    protocol: str
    operation: str
    objects: tuple[str, ...]
    statement: str
    verdict: str
    reason: str
    at: int
    delegation: tuple[tuple[str, str], ...] = ()
    notify: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    untold: int = 0
    """Others alike since the last that was told."""

    @property
    def id(self) -> str:
        """The same however often it is told."""
        return f"{self.session_id}.{self.action_id}" if self.action_id else self.session_id


@dataclass(slots=True)
class _Kind:
    told_at: int
    untold: int = 0


class Notices:
    """See above. The longest quiet kind is forgotten first."""

    def __init__(self) -> None:
        self._kinds: OrderedDict[tuple[str, str, str, str], _Kind] = OrderedDict()

    def take(self, batch: EventBatch) -> list[Notice]:
        """What of a batch is to be told."""
        found = []
        for item in batch.events:
            event = item.event
            if event.kind != EventKind.ACTION_REQUESTED or event.verdict == Verdict.HOLD:
                continue
            if event.attributes.get("policy.notify"):
                context = batch.sessions[item.session]
                if (untold := self._count(context, event)) >= 0:
                    found.append(_notice_from(context, event, untold))
        return found

    def _count(self, context: SessionContext, event: Event) -> int:
        """How many alike were not told since the last one; -1: this one is not, either."""
        key = (event.attributes.get("policy.ids", ""), context.agent, context.resource, event.verdict)
        kind = self._kinds.get(key)
        if kind is not None and abs(event.at - kind.told_at) < QUIET_US:
            kind.untold += 1
            return -1
        untold = kind.untold if kind is not None else 0
        self._kinds[key] = _Kind(event.at)
        self._kinds.move_to_end(key)
        if len(self._kinds) > MAX_KINDS:
            self._kinds.popitem(last=False)
        return untold


def _notice_from(context: SessionContext, event: Event, untold: int) -> Notice:
    facts = event.attributes
    return Notice(
        context.session_id,
        event.action_id,
        context.principal,
        context.agent,
        context.resource,
        context.protocol,
        event.operation,
        tuple(event.objects),
        event.statement,
        event.verdict,
        facts.get("policy.reason", ""),
        event.at,
        tuple((hop.actor, hop.on_behalf_of) for hop in context.delegation),
        split_names(facts["policy.notify"]),
        split_names(facts.get("policy.ids", "")),
        untold,
    )
