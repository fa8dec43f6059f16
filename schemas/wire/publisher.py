"""Group commit: events become durable batches on the raw topic, one batch in flight per partition.

While a batch is in flight for a partition, later events gather into the next; an idle partition sends at once, unless
more outcomes are about to come than wait already. There is no linger to tune. Each appended event gets a *ticket*,
rising per partition from 1. Tickets up to `durable` have been acknowledged by Kafka; tickets up to `kept` are on Kafka
or at least on the local spool.

Everything runs on the event loop's thread, except librdkafka's callbacks, which only hand over. What is lost when the
process dies: events not yet acknowledged, and nothing that waited for them has been released.
"""

import asyncio
import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Final, Protocol

from confluent_kafka import KafkaException, Producer, murmur2

from schemas import topics
from schemas.config import Capture
from schemas.errors import AuditUnavailable
from schemas.runtime import now_us
from schemas.wire import framing
from schemas.wire.partition import Flight, Partition
from schemas.wire.sealing import Sealer

log = logging.getLogger(__name__)

TICK_S: Final = 0.1
RESEND_S: Final = 1.0
GROWTH_S: Final = 30.0
REFRESH_S: Final = 1.0
"""How often the sealer looks for a rotated unsealing key."""
RELAXED_S: Final = 0.002
"""How long an event that nobody waits for yet may gather others before it makes a batch go."""
LAX_TURNS: Final = 5
"""How many times as long where nobody will ever wait: when all that is pending is of best-effort sessions."""
GATHER_S: Final = 0.005
"""The longest that an event somebody waits for is kept back for others that are about to come; and never longer than
the last batch took to be acknowledged, but for the millisecond that timers count by."""


class Spool(Protocol):
    """Where sealed batches go while the broker is away: first in, first out per partition, durable on return."""

    def append(self, partition: int, record: bytes) -> None:
        """Keep a record, fsynced. Raises AuditUnavailable when full or failing."""

    def first(self, partition: int) -> bytes | None:
        """The oldest record kept of a partition, left in place."""

    def drop(self, partition: int) -> None:
        """Forget the oldest record of a partition: Kafka has it."""

    def count(self, partition: int) -> int:
        """How many records of a partition are kept, e.g. by an earlier process."""


class Publisher:
    """The one way of events to Kafka. Create and use it on a running loop."""

    def __init__(self, config: dict[str, Any], sealer: Sealer, capture: Capture, spool: Spool | None = None) -> None:
        self._config = config
        self._sealer = sealer
        self._limits = capture
        self._spool = spool
        self._loop = asyncio.get_running_loop()
        self._producer = Producer(config)
        self._generation = 0
        self._partitions: list[Partition] = []
        self._is_closing = False
        self._poller = threading.Thread(target=self._poll, name="publisher-poll", daemon=True)
        self._ticker: asyncio.Task[None] | None = None
        self._wrap = framing.prefix_of("SealedBatch")

    @property
    def proxy_id(self) -> str:
        return self._sealer.proxy_id

    @property
    def epoch(self) -> str:
        return self._sealer.epoch

    async def start(self) -> None:
        """Learn the partitions and drain what an earlier process spooled. Raises AuditUnavailable."""
        await self._grow()
        self._poller.start()
        self._ticker = asyncio.create_task(self._tick())
        if self._spool is not None:
            for partition in self._partitions:
                partition.spooled_tickets.extend([0] * self._spool.count(partition.number))
                self._schedule(partition)

    def new_session_id(self) -> str:
        """A random session id whose partition is this process's home.

        A session's partition is murmur2 of its id, so ids are drawn until one lands at home (a few draws): what a
        process records travels in one stream of batches, as large as they can be. Processes differ in their homes.
        """
        count = len(self._partitions)
        home = int(self._sealer.epoch[:8], 16) % count
        while True:
            session_id = uuid.uuid4().hex
            if murmur2(session_id.encode(), count) == home:
                return session_id

    def partition_for(self, session_id: str) -> Partition:
        """The partition of a new session: fixed at its open, outliving partition growth."""
        number: int = murmur2(session_id.encode(), len(self._partitions))
        return self._partitions[number]

    def partitions(self) -> list[Partition]:
        """All partitions, by number."""
        return list(self._partitions)

    def append(
        self, partition: Partition, session_id: str, context: bytes, event: bytes, *, is_urgent: bool = True
    ) -> int:
        """Queue an encoded event; its ticket. Not urgent: nobody waits for it yet, so it may gather others.

        Raises AuditUnavailable when too much waits for the broker.
        """
        ticket = partition.append(session_id, context, event, is_urgent)
        partition.guarded = ticket
        return ticket

    async def wait(self, partition: Partition, ticket: int, *, accept_spool: bool = False) -> None:
        """Return when the ticket is durable (or kept). Raises AuditUnavailable when the partition stalls first."""
        while (partition.kept if accept_spool else partition.durable) < ticket:
            if partition.is_stalled and not accept_spool:
                raise AuditUnavailable("the audit log does not answer")
            moved = asyncio.Event()
            partition.watch(moved.set)
            try:
                await asyncio.wait_for(moved.wait(), self._limits.audit_timeout_s * 2)
            except TimeoutError:
                raise AuditUnavailable("the audit log does not answer") from None
            finally:
                partition.watchers.discard(moved.set)

    async def close(self, timeout_s: float) -> bool:
        """Wait for what is appended, then stop. False when some of it is not durable."""
        deadline = time.monotonic() + timeout_s
        for partition in self._partitions:
            with contextlib.suppress(AuditUnavailable, TimeoutError):
                left = max(0.0, deadline - time.monotonic())
                await asyncio.wait_for(self.wait(partition, partition.appended, accept_spool=True), left)
        self._is_closing = True
        if self._ticker is not None:
            self._ticker.cancel()
        await asyncio.to_thread(self._poller.join, 2)
        return all(partition.kept >= partition.appended for partition in self._partitions)

    # -- sending

    def _schedule(self, partition: Partition, is_urgent: bool = True) -> None:
        if is_urgent:
            if not partition.is_pump_due:
                partition.is_pump_due = True
                # At the end of this turn of the loop: events of one turn travel together.
                self._loop.call_soon(self._pump, partition)
        elif not partition.is_rest_due:
            self._arm_rest(partition, 1)

    def _arm_rest(self, partition: Partition, turn: int) -> None:
        partition.is_rest_due = True
        self._loop.call_later(RELAXED_S, self._pump_rest, partition, partition.sent, turn)

    def _pump_rest(self, partition: Partition, sent: int, turn: int) -> None:
        """Nobody waited for these when they came: they go now, unless they have gone with others since."""
        partition.is_rest_due = False
        if partition.gathering is not None:  # what ends that takes these along
            return
        is_free = partition.flight is None and len(partition.pending) > 0 and not partition.is_stalled
        if is_free and partition.sent > sent:
            self._arm_rest(partition, 1)
        elif is_free and partition.guarded <= partition.sent and turn < LAX_TURNS:
            self._arm_rest(partition, turn + 1)
        else:
            self._pump(partition, is_gathered=True)

    def _pump(self, partition: Partition, is_gathered: bool = False) -> None:
        partition.is_pump_due = False
        if partition.is_stalled and self._spool is not None:
            self._keep_pending(partition, self._spool)
        if partition.flight is not None:
            return
        if is_gathered or partition.is_stalled or partition.sealed or not partition.is_gathering:
            self._send_next(partition)
        else:
            self._gather(partition)

    def _gather(self, partition: Partition) -> None:
        """Wait for what is about to come: one batch costs the proxy and the broker more than some dozen events."""
        if partition.gathering is None:
            delay = min(GATHER_S, max(0.001, partition.round_trip_s))
            partition.gathering = self._loop.call_later(delay, self._end_gathering, partition)

    def _end_gathering(self, partition: Partition) -> None:
        partition.gathering = None
        self._pump(partition, is_gathered=True)

    def _send_next(self, partition: Partition) -> None:
        if partition.gathering is not None:
            partition.gathering.cancel()
            partition.gathering = None
        kept = self._spool.first(partition.number) if self._spool else None
        if kept is not None:
            ticket = partition.spooled_tickets[0] if partition.spooled_tickets else 0
            partition.flight = Flight(kept, ticket, time.monotonic(), True)
        elif partition.sealed or partition.pending:
            record, ticket = partition.sealed.popleft() if partition.sealed else self._seal_next(partition)
            partition.flight = Flight(record, ticket, time.monotonic(), False)
        else:
            return
        self._produce(partition, partition.flight)

    def _seal_next(self, partition: Partition) -> tuple[bytes, int]:
        builder = partition.take_batch()
        seq = partition.next_seq
        partition.next_seq += 1
        plain = builder.build(self._sealer.proxy_id, self._sealer.epoch, seq)
        return self._wrap + self._sealer.seal_body(plain, partition.number, seq, now_us()), builder.last_ticket

    def _produce(self, partition: Partition, flight: Flight) -> None:
        generation = self._generation

        def delivered(error: Any, _message: Any) -> None:  # in the poll thread
            self._hand_over(self._acknowledge, generation, partition, flight, error)

        try:
            self._producer.produce(topics.RAW, flight.record, partition=partition.number, on_delivery=delivered)
        except (BufferError, KafkaException) as error:
            log.error("a batch could not be queued: %s", error)
            self._loop.call_later(RESEND_S, self._resend, partition, flight)

    def _hand_over(self, call: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self._is_closing = True

    def _acknowledge(self, generation: int, partition: Partition, flight: Flight, error: Any) -> None:
        if generation != self._generation or partition.flight is not flight:
            return
        if error is not None:
            log.error("a batch was not delivered: %s", error.str())
            self._loop.call_later(0 if error.fatal() else RESEND_S, self._recover, generation, partition, flight)
            return
        partition.flight = None
        partition.round_trip_s = time.monotonic() - flight.since
        if flight.is_from_spool and self._spool is not None:
            self._spool.drop(partition.number)
            if partition.spooled_tickets:
                partition.spooled_tickets.popleft()
        partition.durable = max(partition.durable, flight.last_ticket)
        partition.kept = max(partition.kept, partition.durable)
        partition.is_stalled = False
        if partition.sealed or flight.is_from_spool:
            self._send_next(partition)
        elif partition.urgent > partition.sent:
            self._pump(partition)
        elif partition.pending:
            self._schedule(partition, is_urgent=False)
        self._notify(partition)

    def _recover(self, generation: int, partition: Partition, flight: Flight) -> None:
        """After a failed delivery: a fatal error costs the producer. The re-sent batch may be a second origin."""
        if generation == self._generation:
            self._generation += 1
            self._producer = Producer(self._config)
            for other in self._partitions:
                if other.flight is not None and other is not partition:
                    self._produce(other, other.flight)
        self._resend(partition, flight)

    def _resend(self, partition: Partition, flight: Flight) -> None:
        if partition.flight is flight:
            self._produce(partition, flight)

    # -- stalls

    async def _tick(self) -> None:
        grown_at = refreshed_at = time.monotonic()
        while True:
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            for partition in self._partitions:
                self._check(partition, now)
            if now - refreshed_at > REFRESH_S:
                refreshed_at = now
                self._sealer.refresh()
            if now - grown_at > GROWTH_S:
                grown_at = now
                await self._grow_quietly()

    def _check(self, partition: Partition, now: float) -> None:
        flight = partition.flight
        if flight is None or partition.is_stalled or now - flight.since < self._limits.audit_timeout_s:
            return
        partition.is_stalled = True
        log.error("the audit log does not answer (partition %d)", partition.number)
        if self._spool is not None:
            self._keep_flight(partition, flight, self._spool)
            self._keep_pending(partition, self._spool)
        self._notify(partition)
        for watcher in list(partition.stall_watchers):
            watcher()

    def _keep_flight(self, partition: Partition, flight: Flight, spool: Spool) -> None:
        if flight.is_from_spool:
            return
        try:
            spool.append(partition.number, flight.record)
        except AuditUnavailable as error:
            log.error("spool: %s", error)
            return
        flight.is_from_spool = True
        partition.spooled_tickets.append(flight.last_ticket)
        partition.kept = flight.last_ticket

    def _keep_pending(self, partition: Partition, spool: Spool) -> None:
        if partition.flight is None or not partition.flight.is_from_spool:
            return
        while partition.sealed or partition.pending:
            if not partition.sealed:
                partition.sealed.append(self._seal_next(partition))
            record, ticket = partition.sealed[0]
            try:
                spool.append(partition.number, record)
            except AuditUnavailable as error:
                # It stays sealed under its number: a number is never used for other bytes.
                log.error("spool: %s", error)
                break
            partition.sealed.popleft()
            partition.spooled_tickets.append(ticket)
            partition.kept = ticket
        self._notify(partition)

    def _notify(self, partition: Partition) -> None:
        watchers, partition.watchers = partition.watchers, set()
        for watcher in watchers:
            watcher()

    # -- partitions and callbacks

    async def _grow(self) -> None:
        count = await asyncio.to_thread(self._count_partitions)
        while len(self._partitions) < count:
            limits = self._limits
            self._partitions.append(
                Partition(len(self._partitions), self._schedule, limits.max_batch_bytes, limits.max_pending_bytes)
            )

    async def _grow_quietly(self) -> None:
        try:
            await self._grow()
        except AuditUnavailable as error:
            log.warning("partitions: %s", error)

    def _count_partitions(self) -> int:
        try:
            metadata = self._producer.list_topics(topics.RAW, timeout=self._limits.audit_timeout_s)
        except KafkaException as error:
            raise AuditUnavailable(f"the audit log does not answer: {error.args[0].str()}") from None
        count = len(metadata.topics[topics.RAW].partitions)
        if not count:
            raise AuditUnavailable(f"topic {topics.RAW} does not exist")
        return count

    def _poll(self) -> None:
        while not self._is_closing:
            self._producer.poll(0.2)
