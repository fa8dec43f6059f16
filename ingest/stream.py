"""Open-ended actions: recorded as they go, and never far ahead of their record (`max_unrecorded_bytes`)."""

import asyncio
from collections.abc import Callable
from typing import Final

from ingest.codecs.base import Side
from ingest.session import Session
from masking.tokens import Digest
from schemas.errors import AuditUnavailable
from schemas.events import EventKind

SEGMENTS: Final = 4
"""A stream is recorded each quarter of the limit; a piece needs the record two segments back, so it never runs more
than the limit past the last durable record, and never waits for a record that is not on its way."""


PROGRESS_DELAY_S: Final = 0.02
"""A stream's last bytes are recorded this long after they came, when no more follow."""


class Stream:
    """One direction of one open-ended action."""

    def __init__(
        self, action_id: str, source: Side, floor: int, latest: int, budget: int, digest: Digest | None = None
    ) -> None:
        self.action_id = action_id
        self.source = source
        self.floor = floor  # ticket that the pieces of this segment wait for
        self.latest = latest  # ticket of the last progress record
        self.budget = budget  # content bytes that may still be kept
        self.total = 0
        self.unrecorded = 0
        self.kept = bytearray()
        self.digest = digest

    def take(self, data: bytes | memoryview) -> None:
        """Count bytes and keep what the budget allows."""
        size = len(data)
        self.total += size
        self.unrecorded += size
        if self.digest is not None:
            self.digest.update(data)
        if self.budget > 0:
            part = data[: self.budget]
            self.kept += part
            self.budget -= len(part)

    def recorded(self, ticket: int) -> None:
        """A progress record was made: the next segment waits for the one before it."""
        self.floor, self.latest = self.latest, ticket
        self.unrecorded = 0
        self.kept = bytearray()


class StreamRecorder:
    """Records the streams of one session: each segment when it is full, the rest soon after it came."""

    def __init__(self, session: Session, on_audit_lost: Callable[[], None]) -> None:
        self._session = session
        self._on_audit_lost = on_audit_lost
        self._segment = session.max_unrecorded_bytes // SEGMENTS
        self._unrecorded: dict[int, Stream] = {}
        self._timer: asyncio.TimerHandle | None = None

    def take(self, stream: Stream, data: bytes | memoryview) -> None:
        """Count a chunk. Raises AuditUnavailable."""
        stream.take(data)
        if stream.unrecorded >= self._segment:
            self.record(stream)
            return
        self._unrecorded[id(stream)] = stream
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PROGRESS_DELAY_S, self._record_rest)

    def turn(self, before: Stream, after: Stream) -> None:
        """The other side speaks now: what was said before it is recorded before it, and content is kept again."""
        if before.unrecorded:
            self.record(before)
            after.budget = self._session.resource.limits.max_payload_bytes

    def record(self, stream: Stream) -> None:
        """Record what is not recorded yet of a stream. Raises AuditUnavailable."""
        self._unrecorded.pop(id(stream), None)
        if not stream.unrecorded:
            return
        ticket = self._session.record(
            EventKind.DATA_SENT if stream.source is Side.AGENT else EventKind.DATA_RECEIVED,
            action_id=stream.action_id,
            bytes=stream.unrecorded,
            payload=bytes(stream.kept),
            payload_type="binary" if stream.kept else "",
            payload_bytes=stream.unrecorded,
            payload_digest=stream.digest.digest() if stream.digest else b"",
            is_truncated=len(stream.kept) < stream.unrecorded,
            attributes={"total_bytes": str(stream.total), "from": stream.source.value},
        )
        stream.recorded(ticket)

    def close(self) -> None:
        """Record the rest of all streams and stop. Raises AuditUnavailable."""
        if self._timer is not None:
            self._timer.cancel()
        for stream in list(self._unrecorded.values()):
            self.record(stream)

    def _record_rest(self) -> None:
        self._timer = None
        try:
            for stream in list(self._unrecorded.values()):
                self.record(stream)
        except AuditUnavailable:
            self._on_audit_lost()
