"""A session as it is recorded: its sequence of events, its byte ledger, and what is durable of it.

`Recorder` is what a proxy process has one of; `Session` is what every conversation has one of. Both relays (TCP codecs
and HTTP) record through these, so that seq, tickets and release rules have one meaning.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from masking.tokens import Digest, DigestKey
from schemas.errors import AuditUnavailable
from schemas.events import Event, EventKind, SessionContext
from schemas.resources import Resource
from schemas.runtime import now_us
from schemas.wire.batching import encode_context, encode_event
from schemas.wire.publisher import Partition, Publisher

MAX_TEXT: Final = 262_144
"""Most characters of any one text field; longer ones are cut and the event says so."""


@dataclass(slots=True)
class Ledger:
    """Bytes of a session, as they crossed the proxy."""

    from_agent: int = 0
    to_agent: int = 0
    from_upstream: int = 0
    to_upstream: int = 0
    opaque_agent: int = 0
    opaque_upstream: int = 0

    def as_attributes(self) -> dict[str, str]:
        """The ledger as `bytes.*` attributes of session.closed."""
        return {f"bytes.{name}": str(getattr(self, name)) for name in self.__slots__}


@dataclass(slots=True)
class _Openings:
    """Random 16-byte openings, drawn from the system in one call for many events."""

    pool: bytes = b""
    at: int = 0

    def draw(self) -> bytes:
        if self.at >= len(self.pool):
            self.pool, self.at = os.urandom(4096), 0
        self.at += 16
        return self.pool[self.at - 16 : self.at]


class Session:
    """One conversation. Events are appended in the order of the calls; `seq` has no holes."""

    def __init__(self, recorder: "Recorder", context: SessionContext, resource: Resource) -> None:
        self.context = context
        self.resource = resource
        self.ledger = Ledger()
        self.is_closed = False
        self.has_opaque = False
        self.action_count = 0
        self.refused_count = 0
        self.opened_ticket = 0
        self.last_ticket = 0
        self.max_unrecorded_bytes = recorder.max_unrecorded_bytes
        self._recorder = recorder
        self._encoded_context = encode_context(context)
        self._partition: Partition = recorder.publisher.partition_for(context.session_id)
        self._is_gated = resource.record != "best_effort"
        self._accepts_spool = resource.on_audit_failure == "spool"
        self._seq = 0
        self._lost = 0

    def next_action_id(self) -> str:
        """An id for the next action, unique within the session."""
        self.action_count += 1
        return f"{self.context.session_id}.{self.action_count}"

    def record(self, kind: EventKind, *, at: int = 0, is_urgent: bool = True, **values: Any) -> int:
        """Append an event; its ticket. Not urgent: another event that somebody waits for follows shortly.

        Raises AuditUnavailable when the audit log is away and this session must not go on without it. A best-effort
        session goes on: the event is counted and the next one that gets through is preceded by an audit.gap.
        """
        if self._lost:
            self._try_gap()
        event = Event(self._seq + 1, at or now_us(), kind.value, opening=self._recorder.openings.draw(), **values)
        if self._partition.is_stalled and self._accepts_spool:
            event.attributes = {**event.attributes, "durability": "spool"}
        try:
            return self._append(event, is_urgent=is_urgent and self._is_gated)
        except AuditUnavailable:
            if self._is_gated and not self.is_closed:
                raise
            self._lost += 1
            return 0

    def is_released(self, ticket: int) -> bool:
        """Whether what waits for this ticket may go."""
        partition = self._partition
        return ticket <= partition.durable or not self._is_gated or (self._accepts_spool and ticket <= partition.kept)

    @property
    def is_audit_lost(self) -> bool:
        """Whether new actions must be refused now: the log does not answer and this resource blocks on that."""
        return self._partition.is_stalled and self._is_gated and not self._accepts_spool

    def watch(self, callback: Callable[[], None]) -> None:
        """Call once when durability moved on: then look again."""
        self._partition.watch(callback)

    def watch_stalls(self, callback: Callable[[], None]) -> None:
        """Call each time the log stalls, until `unwatch_stalls`."""
        self._partition.stall_watchers.add(callback)

    def unwatch_stalls(self, callback: Callable[[], None]) -> None:
        """Forget a callback."""
        self._partition.stall_watchers.discard(callback)

    async def wait(self, ticket: int) -> None:
        """Return when what waits for this ticket may go. Raises AuditUnavailable after the audit timeout."""
        if not self.is_released(ticket):
            await self._recorder.publisher.wait(self._partition, ticket, accept_spool=self._accepts_spool)

    def new_digest(self) -> Digest:
        """A keyed digest for a payload."""
        return self._recorder.digest_key.digest()

    def close(self, reason: str, **attributes: str) -> int:
        """Append session.closed with the ledger; later calls do nothing. The ticket."""
        if self.is_closed:
            return 0
        self.is_closed = True
        facts = {"reason": reason, "events": str(self._seq + 1), "actions": str(self.action_count)}
        return self.record(
            EventKind.SESSION_CLOSED, attributes=facts | self.ledger.as_attributes() | attributes, status=reason
        )

    def _append(self, event: Event, *, is_urgent: bool = False) -> int:
        ticket = self._recorder.publisher.append(
            self._partition,
            self.context.session_id,
            self._encoded_context,
            encode_event(event),
            is_urgent=is_urgent,
        )
        self._seq = event.seq
        self.last_ticket = ticket
        return ticket

    def _try_gap(self) -> None:
        gap = Event(
            self._seq + 1,
            now_us(),
            EventKind.AUDIT_GAP.value,
            attributes={"lost_events": str(self._lost), "reason": "audit log away, best effort"},
            opening=self._recorder.openings.draw(),
        )
        try:
            self._append(gap)
            self._lost = 0
        except AuditUnavailable:
            return


@dataclass(slots=True)
class Recorder:
    """What all sessions of a proxy process share."""

    publisher: Publisher
    digest_key: DigestKey
    max_unrecorded_bytes: int = 1 << 20
    openings: _Openings = field(default_factory=_Openings)

    def open_session(self, context: SessionContext, resource: Resource) -> Session:
        """Start a session and record session.opened; an empty session_id is drawn here.

        Raises AuditUnavailable when the log does not answer and the resource blocks on that.
        """
        context.session_id = context.session_id or self.publisher.new_session_id()
        session = Session(self, context, resource)
        if session.is_audit_lost:
            raise AuditUnavailable("the audit log does not answer")
        session.opened_ticket = session.record(EventKind.SESSION_OPENED, at=context.opened_at)
        return session
