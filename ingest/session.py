"""A session as it is recorded: its sequence of events, its byte ledger, and what is durable of it.

`Recorder` is what a proxy process has one of; `Session` is what every conversation has one of. Both relays (TCP codecs
and HTTP) record through these, so that seq, tickets and release rules have one meaning.
"""

import os
from collections.abc import Callable
from typing import Final

from masking.tokens import Digest, DigestKey
from schemas.clock import now_us
from schemas.errors import AuditUnavailable
from schemas.events import Blob, EventKind, Masked, SessionContext
from schemas.resources import Resource
from schemas.wire.batching import NO_ATTRIBUTES, NO_TEXTS, NO_VALUES, encode_context, encode_fields
from schemas.wire.partition import Partition
from schemas.wire.publisher import Publisher

MAX_TEXT: Final = 262_144
"""Most characters of any one text field; longer ones are cut and the event says so."""


class Ledger:
    """Bytes of a session, as they crossed the proxy."""

    def __init__(self) -> None:
        self.from_agent = 0
        self.to_agent = 0
        self.from_upstream = 0
        self.to_upstream = 0
        self.opaque_agent = 0
        self.opaque_upstream = 0

    def as_attributes(self) -> dict[str, str]:
        """The ledger as `bytes.*` attributes of session.closed."""
        return {
            "bytes.from_agent": str(self.from_agent),
            "bytes.to_agent": str(self.to_agent),
            "bytes.from_upstream": str(self.from_upstream),
            "bytes.to_upstream": str(self.to_upstream),
            "bytes.opaque_agent": str(self.opaque_agent),
            "bytes.opaque_upstream": str(self.opaque_upstream),
        }


class _Openings:
    """Random 16-byte openings, drawn from the system in one call for many events."""

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0

    def draw(self) -> bytes:
        if self._at >= len(self._pool):
            self._pool, self._at = os.urandom(4096), 0
        self._at += 16
        return self._pool[self._at - 16 : self._at]


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
        self._id = context.session_id
        self._encoded_context = encode_context(context)
        self._openings = recorder.openings
        self._partition: Partition = recorder.publisher.partition_for(context.session_id)
        self._is_gated = resource.record != "best_effort"
        self._accepts_spool = resource.on_audit_failure == "spool"
        self._seq = 0
        self._lost = 0

    def next_action_id(self) -> str:
        """An id for the next action, unique within the session."""
        self.action_count += 1
        return f"{self._id}.{self.action_count}"

    def record(
        self,
        kind: str,
        *,
        at: int = 0,
        is_urgent: bool = True,
        action_id: str = "",
        statement: str = "",
        fingerprint: str = "",
        parameters: list[str | None] = NO_VALUES,
        operation: str = "",
        objects: list[str] = NO_TEXTS,
        verdict: str = "none",
        status: str = "",
        error: str = "",
        rows: int = 0,
        bytes: int = 0,
        duration_us: int = 0,
        attributes: dict[str, str] = NO_ATTRIBUTES,
        payload: Blob = b"",
        payload_type: str = "",
        payload_bytes: int = 0,
        payload_digest: Blob = b"",
        is_truncated: bool = False,
        masked: list[Masked] | None = None,
        links: dict[str, str] = NO_ATTRIBUTES,
    ) -> int:
        """Append an event (the fields of schemas.events.Event); its ticket.

        Not urgent: another event that somebody waits for follows shortly. Raises AuditUnavailable when the audit log
        is away and this session must not go on without it. A best-effort session goes on: the event is counted and
        the next one that gets through is preceded by an audit.gap.
        """
        if self._lost:
            self._try_gap()
        if self._partition.is_stalled and self._accepts_spool:
            attributes = {**attributes, "durability": "spool"}
        event = encode_fields(
            self._seq + 1,
            at or now_us(),
            kind,
            action_id=action_id,
            statement=statement,
            fingerprint=fingerprint,
            parameters=parameters,
            operation=operation,
            objects=objects,
            verdict=verdict,
            status=status,
            error=error,
            rows=rows,
            size=bytes,
            duration_us=duration_us,
            attributes=attributes,
            payload=payload,
            payload_type=payload_type,
            payload_bytes=payload_bytes,
            payload_digest=payload_digest,
            is_truncated=is_truncated,
            masked=masked,
            links=links,
            opening=self._openings.draw(),
        )
        return self._append(event, is_urgent)

    def awaits(self) -> int:
        """An action is under way whose outcome somebody waits for: what is recorded may wait a moment for it, too.

        What `has_met` wants when the outcome is there, 0 for nothing.
        """
        return self._partition.outlook.expect() if self._is_gated else 0

    def has_met(self, mark: int) -> None:
        """The outcome of that action is recorded now."""
        self._partition.outlook.meet(mark)

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

    def _append(self, event: Blob, is_urgent: bool) -> int:
        """The ticket of an encoded event. 0 when it is lost: then it is counted."""
        try:
            ticket = self._partition.append(self._id, self._encoded_context, event, is_urgent and self._is_gated)
        except AuditUnavailable:
            if self._is_gated and not self.is_closed:
                raise
            self._lost += 1
            return 0
        if self._is_gated:
            self._partition.guarded = ticket
        self._seq += 1
        self.last_ticket = ticket
        return ticket

    def _try_gap(self) -> None:
        lost, self._lost = self._lost, 0
        self.record(
            EventKind.AUDIT_GAP,
            is_urgent=False,
            attributes={"lost_events": str(lost), "reason": "audit log away, best effort"},
        )
        if self._lost:  # it did not get through either: only the events count
            self._lost = lost


class Recorder:
    """What all sessions of a proxy process share."""

    def __init__(self, publisher: Publisher, digest_key: DigestKey, max_unrecorded_bytes: int = 1 << 20) -> None:
        self.publisher = publisher
        self.digest_key = digest_key
        self.max_unrecorded_bytes = max_unrecorded_bytes
        self.openings = _Openings()

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
