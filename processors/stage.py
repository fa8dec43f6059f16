"""What every stage shares: records in order, pipelined sends, durable progress, partitions that wait.

A stage takes each input record exactly once, in order, per partition. `absorb` turns it into sends; when the last of
them is acknowledged the record is *settled*. A record out of turn is dropped: a lower one was absorbed already, a
higher one means that the one before it is still to come, and the partition is sought back to it. A failed send ends the
process, since what a restart reads back is sound and a hole in the output is not.
"""

import asyncio
import logging
import os
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, NoReturn

from confluent_kafka import Consumer
from faust.types import TP

from processors.app import StageApp
from processors.origins import OriginChain
from processors.progress import ProgressStore, pack_state, unpack_state
from schemas.config import Settings
from schemas.errors import RecordError, Unreachable
from schemas.events import Progress
from schemas.runtime import Home, now_us
from schemas.wire import framing, kafka

log = logging.getLogger(__name__)

EXIT_FATAL: Final = 3
MAX_IN_FLIGHT: Final = 64
"""Sends that await their acknowledgement, per stage; a stage waits beyond."""
RETRY_S: Final = 1.0
SNAPSHOT_RECORDS: Final = 1000
SNAPSHOT_S: Final = 5.0
_RESEEK_S: Final = 1.0

Headers = list[tuple[str, bytes]] | None


class Wait(Exception):  # not an error: a condition that passes
    """The record cannot be absorbed yet: its partition waits, the others go on."""


def die(reason: str) -> NoReturn:
    """End the process at once; the supervisor starts it again and it reads its output back."""
    log.critical("stopping: %s", reason)
    logging.shutdown()
    os._exit(EXIT_FATAL)


@dataclass(slots=True)
class Unsettled:
    """A record whose sends are not all acknowledged."""

    message: Any
    sends: int = 0
    is_absorbed: bool = False


@dataclass(slots=True)
class Partition:
    """Where a stage stands in one input partition. `state` is the stage's own."""

    number: int
    expected: int
    state: Any = None
    settled: int = -1
    waits_for: str = ""
    snapshot_at: float = field(default_factory=time.monotonic)
    snapshot_offset: int = -1
    unsettled: deque[Unsettled] = field(default_factory=deque)
    sought_at: float = 0.0

    def is_snapshot_due(self, now: float) -> bool:
        """Whether enough records or time passed since the last one."""
        moved = self.expected - 1 - self.snapshot_offset
        return moved >= SNAPSHOT_RECORDS or (moved > 0 and now - self.snapshot_at >= SNAPSHOT_S)


Cause = tuple[Partition, Unsettled]
"""What a send is an effect of."""


class Stage(ABC):
    """One stage: subclass it with `component`, `source`, `restore_partition`, `absorb` and, with state, `save`."""

    component: ClassVar[str]
    source: ClassVar[str]

    def __init__(self, settings: Settings, home: Home, app: StageApp) -> None:
        self.settings = settings
        self.home = home
        self.app = app
        self.partitions: dict[int, Partition] = {}
        self.source_id = ""
        self.is_ready = asyncio.Event()
        self.client_config = kafka.client_config(settings, home, self.component)
        self.reader_config = kafka.reader_config(settings, home, self.component)
        self.store = ProgressStore(settings, home, self.component)
        self.alarms: dict[str, str] = {}
        self.patience = 1.0
        """How many times longer than other stages this one may stand still before it is taken for stuck."""
        self._lock = asyncio.Lock()
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sent: set[asyncio.Future[Any]] = set()
        app.seeker = self
        app.agent(app.topic(self.source, value_serializer="raw", key_serializer="raw"), concurrency=1)(self._follow)

    # ── what a stage says ──

    @abstractmethod
    def restore_partition(self, number: int, saved: Progress | None) -> Partition:
        """Read the own output back. Runs in a thread. Raises Unreachable, RecordError."""

    @abstractmethod
    async def absorb(self, part: Partition, message: Any) -> None:
        """Turn one record into sends. Raises Wait before any effect; whatever else it raises ends the process."""

    def save(self, part: Partition) -> Any:
        """The state to keep in a snapshot, as JSON data."""
        return None

    async def release(self) -> None:
        """Send what is owed and still gathered here. Called with the lock held."""
        return

    def resumed(self, number: int, saved: Progress | None) -> Partition:
        """A partition that goes on behind its snapshot, or at the beginning of what its topic still holds."""
        probe = Consumer(self.reader_config)
        try:
            low, _ = kafka.watermarks(probe, self.source, number)
        finally:
            probe.close()
        expected = saved.offset + 1 if saved is not None and saved.log_id == self.source_id else 0
        if saved is not None and low > expected:
            self.raise_alarm(f"gap {number}", f"{self.source}[{number}]: {expected} to {low - 1} went unread")
        return Partition(number, max(low, expected))

    def is_next(self, part: Partition, chain: OriginChain, origin: Mapping[str, Any]) -> bool:
        """Accept the first occurrence of each origin; a gap or another log is an alarm, not an end."""
        judged = chain.judge(origin)
        if judged == "repeat":
            return False
        if judged != "next":
            detail = f"{judged}: {origin['log_id']}/{origin['offset']} after {chain.log_id}/{chain.offset}"
            self.raise_alarm(f"origins {part.number}", detail)
        chain.advance(origin)
        return True

    # ── Faust's side ──

    async def restore(self, partitions: set[int]) -> Mapping[int, int]:
        """See `Seeker`. Ends the process when the output cannot be read back."""
        try:
            async with self._lock:
                await self.release()
                await asyncio.wait_for(self.app.producer.flush(), kafka.TIMEOUT_S)
                self.partitions = {}
                self.partitions = await asyncio.to_thread(self._restore_all, sorted(partitions))
        except Exception as error:  # whatever it is, records must not flow from an unknown position
            log.exception("progress of %s cannot be read back", self.component)
            die(f"progress cannot be read back: {type(error).__name__}")
        for part in self.partitions.values():
            log.info("%s[%d]: continues at %d", self.source, part.number, part.expected)
        self.is_ready.set()
        return {number: part.expected for number, part in self.partitions.items()}

    def _restore_all(self, numbers: list[int]) -> dict[int, Partition]:
        self.source_id = kafka.topic_id(self.reader_config, self.source)
        saved = self.store.load()
        return {number: self._restored(number, saved.get(number)) for number in numbers}

    def _restored(self, number: int, saved: Progress | None) -> Partition:
        part = self.restore_partition(number, saved)
        part.settled = part.snapshot_offset = part.expected - 1
        return part

    async def _follow(self, stream: Any) -> None:
        async for event in stream.noack().events():
            try:
                await self.take(event.message)
            except Exception as error:  # an agent that raises would be restarted past the record
                log.exception("%s[%d] offset %d", self.source, event.message.partition, event.message.offset)
                die(f"a record could not be absorbed: {type(error).__name__}")

    async def take(self, message: Any) -> None:
        """One record from Faust: absorb it when it is the next of its partition."""
        async with self._lock:
            part = self.partitions.get(message.partition)
            if part is None:
                die(f"{self.source}[{message.partition}] flows before its progress was read back")
            if part.waits_for:
                return
            if message.offset != part.expected:
                await self._out_of_turn(part, message.offset)
                return
            unsettled = Unsettled(message)
            part.unsettled.append(unsettled)
            try:
                await self.absorb(part, message)
            except (Wait, Unreachable) as wait:  # Unreachable: the schema registry, asked before any effect
                part.unsettled.pop()
                self._let_wait(part, str(wait))
                return
            if self.alarms:
                self.clear_alarm(f"partition {part.number}")
            part.expected += 1
            unsettled.is_absorbed = True
            self._settle(part)
        if part.is_snapshot_due(time.monotonic()):
            await self.snapshot(part)

    # ── sends and progress ──

    async def send(
        self,
        part: Partition | None,
        topic: str,
        partition: int,
        value: bytes,
        key: bytes | None = None,
        headers: Headers = None,
    ) -> asyncio.Future[Any]:
        """Hand a record to Kafka, as an effect of the record that `part` absorbs (None: of no record).

        Waits only when too many are in flight.
        """
        causes = [] if part is None else [self.owe(part)]
        return await self.send_for(causes, topic, partition, value, key, headers)

    def owe(self, part: Partition) -> Cause:
        """A send that is still to come, as an effect of the record that `part` absorbs: it is not settled before."""
        unsettled = part.unsettled[-1]
        unsettled.sends += 1
        return part, unsettled

    async def send_for(
        self,
        causes: Sequence[Cause],
        topic: str,
        partition: int,
        value: bytes,
        key: bytes | None = None,
        headers: Headers = None,
    ) -> asyncio.Future[Any]:
        """As `send`, for what is owed to several records."""
        await self._slots.acquire()
        sent: Awaitable[Any] = await self.app.producer.send(topic, key, value, partition, None, headers)
        future = asyncio.ensure_future(sent)
        self._sent.add(future)
        future.add_done_callback(lambda done: self._acknowledged(causes, done))
        return future

    def _acknowledged(self, causes: Sequence[Cause], done: asyncio.Future[Any]) -> None:
        self._slots.release()
        self._sent.discard(done)
        if done.cancelled() or done.exception() is not None:
            die(f"a send failed: {'cancelled' if done.cancelled() else done.exception()!r}")
        for part, unsettled in causes:
            unsettled.sends -= 1
            self.on_acknowledged(part, done.result())
            self._settle(part)

    def on_acknowledged(self, part: Partition, metadata: Any) -> None:
        """A send of this partition became durable."""
        return

    def _settle(self, part: Partition) -> None:
        while part.unsettled and part.unsettled[0].is_absorbed and not part.unsettled[0].sends:
            message = part.unsettled.popleft().message
            part.settled = message.offset
            message.ack(self.app.consumer)  # tells lag to Kafka's tools and to the watchdog, nothing else

    async def snapshot(self, part: Partition) -> None:
        """Save the partition's state once every output it covers is durable."""
        async with self._lock:
            if self.partitions.get(part.number) is not part or part.snapshot_offset == part.expected - 1:
                return
            await self.drain()
            state = self.save(part)
            record = Progress(
                self.component, self.source_id, part.number, part.expected - 1, now_us(), pack_state(state)
            )
            part.snapshot_offset, part.snapshot_at = part.expected - 1, time.monotonic()
            future = await self.app.producer.send(
                self.store.topic, str(part.number).encode(), framing.encode(record), 0, None, None
            )
            asyncio.ensure_future(future).add_done_callback(_must_succeed)

    async def drain(self) -> None:
        """Wait until everything sent so far is durable. Call it with the lock held."""
        await self.release()
        await self.app.producer.flush()
        if self._sent:
            await asyncio.wait(self._sent)

    async def tick(self) -> None:
        """Called about once a second: snapshots that became due while no record came."""
        now = time.monotonic()
        for part in list(self.partitions.values()):
            if part.is_snapshot_due(now):
                await self.snapshot(part)

    def saved_state(self, saved: Progress | None) -> Any:
        """A snapshot's state; None (and an alarm) when it does not open."""
        try:
            return unpack_state(saved.state) if saved else None
        except RecordError as error:
            self.raise_alarm("state", str(error))
            return None

    # ── partitions that wait, records out of turn ──

    def raise_alarm(self, name: str, text: str) -> None:
        """Say once that something needs a person; it shows in the run state until it is cleared."""
        if self.alarms.get(name) != text:
            self.alarms[name] = text
            log.error("alarm: %s %s: %s", self.component, name, text)

    def clear_alarm(self, name: str) -> None:
        """The condition passed."""
        if self.alarms.pop(name, None) is not None:
            log.warning("alarm over: %s %s", self.component, name)

    def _let_wait(self, part: Partition, reason: str) -> None:
        part.waits_for = reason
        self.raise_alarm(f"partition {part.number}", reason)
        self.app.consumer.pause_partitions([TP(self.source, part.number)])
        task = asyncio.get_running_loop().create_task(self._retry(part))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _retry(self, part: Partition) -> None:
        await asyncio.sleep(RETRY_S)
        async with self._lock:
            if self.partitions.get(part.number) is part:
                part.waits_for = ""
                self.app.consumer.resume_partitions([TP(self.source, part.number)])
                await self._seek_back(part)

    async def _out_of_turn(self, part: Partition, offset: int) -> None:
        if offset > part.expected and time.monotonic() - part.sought_at > _RESEEK_S:
            log.warning("%s[%d]: %d came before %d", self.source, part.number, offset, part.expected)
            await self._seek_back(part)

    async def _seek_back(self, part: Partition) -> None:
        part.sought_at = time.monotonic()
        target = {TP(self.source, part.number): part.expected}
        await self.app.consumer.seek_wait(target)
        self.app.consumer._read_offset.update(target)


def _must_succeed(done: asyncio.Future[Any]) -> None:
    if done.cancelled() or done.exception() is not None:
        die("a progress record could not be written")
