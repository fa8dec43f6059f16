"""Open-ended actions: recorded as they go, and never far ahead of their record (`max_unrecorded_bytes`)."""

import asyncio
from collections.abc import Callable
from typing import Final

from ingest.codecs.base import Side
from ingest.session import Session
from masking.cuts import end_of_whole
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
        self.limit = budget  # content bytes that are kept of it, in a tunnel of each turn
        self.budget = budget  # content bytes that may still be kept
        self.total = 0
        self.unrecorded = 0
        self.kept = bytearray()
        self.dropped = 0  # bytes since the last record that the budget did not allow
        self.is_held = False  # all that came since the last record is the end of the piece before
        self.digest = digest

    def take(self, data: bytes | memoryview) -> None:
        """Count bytes and keep what the budget allows."""
        size = len(data)
        self.total += size
        self.unrecorded += size
        self.is_held = False
        if self.digest is not None:
            self.digest.update(data)
        if self.budget > 0:
            part = data[: self.budget]
            self.kept += part
            self.budget -= len(part)
            size -= len(part)
        self.dropped += size

    def recorded(self, ticket: int, held: int = 0) -> None:
        """A progress record was made, of all but the last `held` bytes: the next segment waits for the one before."""
        self.floor, self.latest = self.latest, ticket
        self.unrecorded = held
        self.kept = self.kept[len(self.kept) - held :]
        self.dropped = 0
        self.is_held = held > 0


class StreamRecorder:
    """Records the streams of one session: each segment when it is full, the rest soon after it came."""

    def __init__(self, session: Session, on_audit_lost: Callable[[], None]) -> None:
        self._session = session
        self._on_audit_lost = on_audit_lost
        self._segment = session.max_unrecorded_bytes // SEGMENTS
        self._max_held = self._segment // SEGMENTS
        self._unrecorded: dict[int, Stream] = {}
        self._timer: asyncio.TimerHandle | None = None

    def take(self, stream: Stream, data: bytes | memoryview) -> None:
        """Count a chunk. Raises AuditUnavailable."""
        stream.take(data)
        if stream.unrecorded >= self._segment:
            self._record_most(stream)
        else:
            self._remember(stream)

    def turn(self, before: Stream, after: Stream) -> None:
        """The other side speaks now: what was said before it is recorded before it, and content is kept again."""
        if before.unrecorded:
            self.record(before)
            after.budget = after.limit

    def record(self, stream: Stream) -> None:
        """Record all that is not recorded yet of a stream. Raises AuditUnavailable."""
        self._record(stream, len(stream.kept))

    def _record_most(self, stream: Stream) -> None:
        """The same, but for what may be the beginning of a value: it goes with what follows, or 20 ms later."""
        end = len(stream.kept)
        if end and not stream.dropped and not stream.is_held:
            end = end_of_whole(stream.kept, self._max_held)
        if end == 0 and stream.unrecorded == len(stream.kept):
            stream.is_held = True  # nothing but that: once
            self._remember(stream)
            return
        self._record(stream, end)
        if stream.unrecorded:
            self._remember(stream)

    def _record(self, stream: Stream, end: int) -> None:
        self._unrecorded.pop(id(stream), None)
        held = len(stream.kept) - end
        size = stream.unrecorded - held
        if not size:
            return
        ticket = self._session.record(
            EventKind.DATA_SENT if stream.source is Side.AGENT else EventKind.DATA_RECEIVED,
            action_id=stream.action_id,
            bytes=size,
            payload=bytes(stream.kept[:end]),
            payload_type="binary" if end else "",
            payload_bytes=size,
            payload_digest=stream.digest.digest() if stream.digest else b"",
            is_truncated=end < size,
            attributes={"total_bytes": str(stream.total), "from": stream.source.value},
        )
        stream.recorded(ticket, held)

    def _remember(self, stream: Stream) -> None:
        self._unrecorded[id(stream)] = stream
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PROGRESS_DELAY_S, self._record_rest)

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
                self._record_most(stream)
        except AuditUnavailable:
            self._on_audit_lost()
