"""Tickets and batches of one partition, and the appending of events: the part of the publisher that each event passes.

Compiled where a C compiler is at hand (deploy/native.py).
"""

import asyncio
from collections import deque
from collections.abc import Callable

from schemas.errors import AuditUnavailable
from schemas.wire.batching import BatchBuilder
from schemas.wire.outlook import Outlook


class Flight:
    """A record handed to Kafka and not yet acknowledged."""

    def __init__(self, record: bytes, last_ticket: int, since: float, is_from_spool: bool) -> None:
        self.record = record
        self.last_ticket = last_ticket
        self.since = since  # monotonic seconds
        self.is_from_spool = is_from_spool


class Partition:
    """One partition. `on_due(partition, is_urgent)` is called when a batch should go and none is on its way."""

    def __init__(
        self,
        number: int,
        on_due: Callable[["Partition", bool], None],
        max_batch_bytes: int,
        max_pending_bytes: int,
    ) -> None:
        self.number = number
        self.appended = 0
        self.durable = 0
        self.kept = 0
        self.is_stalled = False
        self.next_seq = 0
        self.pending: deque[BatchBuilder] = deque()
        self.pending_bytes = 0
        self.sealed: deque[tuple[bytes, int]] = deque()
        self.flight: Flight | None = None
        self.spooled_tickets: deque[int] = deque()
        self.urgent = 0  # the last ticket that somebody waits for
        self.guarded = 0  # the last ticket of a session that waits for its records, now or soon
        self.sent = 0  # the last ticket in a batch that was sealed
        self.is_pump_due = False
        self.is_rest_due = False
        self.gathering: asyncio.TimerHandle | None = None  # ends a wait for events that are about to come
        self.outlook = Outlook()
        self.round_trip_s = 0.0  # of the last batch
        self.watchers: set[Callable[[], None]] = set()
        self.stall_watchers: set[Callable[[], None]] = set()
        self._on_due = on_due
        self._max_batch_bytes = max_batch_bytes
        self._max_pending_bytes = max_pending_bytes
        self._open: BatchBuilder | None = None  # the last of `pending`

    def watch(self, callback: Callable[[], None]) -> None:
        """Call once, when durability moves on or the partition stalls."""
        self.watchers.add(callback)

    @property
    def is_gathering(self) -> bool:
        """Whether the one batch that is pending had better wait for what is about to come."""
        return len(self.pending) == 1 and self.outlook.is_promising

    def append(self, session_id: str, context: bytes, event: bytes, is_urgent: bool) -> int:
        """Queue an encoded event; its ticket. Not urgent: nobody waits for it yet, so it may gather others.

        Raises AuditUnavailable when too much waits for the broker.
        """
        size = len(event)
        if self.pending_bytes + size > self._max_pending_bytes:
            raise AuditUnavailable("too many events wait for the broker")
        builder = self._open
        if builder is None or builder.size + size > self._max_batch_bytes:
            builder = self._open = BatchBuilder()
            self.pending.append(builder)
        before = builder.size
        builder.add(session_id, context, event)
        self.pending_bytes += builder.size - before
        self.appended += 1
        builder.last_ticket = self.appended
        if is_urgent:
            self.urgent = self.appended
            self.outlook.add_waiting()
        if not self.is_pump_due and (is_urgent or not self.is_rest_due) and (self.flight is None or self.is_stalled):
            self._on_due(self, is_urgent)
        return self.appended

    def take_batch(self) -> BatchBuilder:
        """The oldest batch, no longer pending. IndexError when there is none."""
        builder = self.pending.popleft()
        if builder is self._open:
            self._open = None
        self.pending_bytes -= builder.size
        self.sent = builder.last_ticket
        self.outlook.take_batch()
        return builder
