"""Tickets and batches of one partition, and the appending of events: the part of the publisher that each event passes.

Compiled where a C compiler is at hand (deploy/native.py).
"""

import asyncio
from collections import deque
from collections.abc import Callable

from schemas.errors import AuditUnavailable
from schemas.wire.batching import BatchBuilder


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
        self.round_trip_s = 0.0  # of the last batch
        self.watchers: set[Callable[[], None]] = set()
        self.stall_watchers: set[Callable[[], None]] = set()
        self._on_due = on_due
        self._max_batch_bytes = max_batch_bytes
        self._max_pending_bytes = max_pending_bytes
        self._open: BatchBuilder | None = None  # the last of `pending`
        self._waited_for = 0  # pending events that somebody waits for
        self._round = 1  # rises with each batch that is taken
        self._expected = 0  # outcomes under way since the last batch was taken, and since the one before
        self._expected_before = 0

    def watch(self, callback: Callable[[], None]) -> None:
        """Call once, when durability moves on or the partition stalls."""
        self.watchers.add(callback)

    def expect(self) -> int:
        """An event that somebody waits for is under way: the outcome of an action. A mark for `meet`, never 0."""
        self._expected += 1
        return self._round

    def meet(self, mark: int) -> None:
        """What was expected is appended now. What did not come within two batches is not expected any more."""
        if mark == self._round:
            self._expected -= 1
        elif mark == self._round - 1:
            self._expected_before -= 1

    @property
    def is_gathering(self) -> bool:
        """Whether more is about to come than waits already: then one batch may serve both.

        With one session at work nothing else is expected. With many, about a third of them wait for the batch that is
        under way, a third gather for the next, and a third are upstream.
        """
        return self._waited_for < self._expected + self._expected_before and len(self.pending) == 1

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
            self._waited_for += 1
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
        self._waited_for = 0
        self._round += 1
        self._expected_before = self._expected
        self._expected = 0
        return builder
