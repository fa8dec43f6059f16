"""The input of every sink: each origin batch of custody.sessions.v1 once, in order per partition.

Partitions are assigned by hand and nothing is committed to Kafka: where to begin follows from the sink's own progress.
A thread reads ahead and decodes, bounded in bytes, so that a sink waiting for its peer does not wait for Kafka too.

A gap or another log stops that partition with an alarm, for good: what is missing has to be explained by a person.
The other partitions go on, since stopping them would put more of the record at risk. An absent broker stops nothing:
the reader says so and waits. Sessions of which Kafka's retention removed something unread show up as a gap.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.errors import LogGap, RecordError, Unreachable
from schemas.topics import SESSIONS
from schemas.wire.framing import Registry
from schemas.wire.kafka import END_WAIT_MS, TIMEOUT_S, partition_count, watermarks
from schemas.wire.tallies import HEADER as TALLIES
from schemas.wire.tallies import SessionTally, decode_tallies
from sinks.columns import Columns, DecodedBatch, decode_batch, decode_origin
from sinks.origins import Begin, Found, Position, find_start, is_next

MAX_PENDING_BYTES: Final = 32 << 20
"""Wire bytes of batches read ahead; decoded they take about four times as much. Reading pauses beyond it."""
QUEUE_KBYTES: Final = 16_384  # what librdkafka fetches ahead of that
FETCH_RECORDS: Final = 256
FETCH_WAIT_S: Final = 0.1
FULL_EVENTS: Final = 100
FULL_REST_S: Final = 0.25
"""After a read of so many events comes a rest: a fetch for each batch costs broker and reader more than the batch."""
QUEUE_BACKOFF_MS: Final = 10  # how long librdkafka lets a partition rest of which something waits already
GROWTH_INTERVAL_S: Final = 5.0
BACKOFF_S: Final = 0.5

Decode = Callable[[bytes, Registry | None], Any]
"""What a sink needs of a framed EventBatch: by default its columns. Raises RecordError, Unreachable."""
NOTHING: Final = DecodedBatch(None, "", "", -1, "", [], Columns())

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Skimmed:
    """What a record's headers say of its events: enough for who only counts."""

    tallies: Sequence[SessionTally]
    events: int


@dataclass(frozen=True, slots=True)
class Batch[D: Sized = DecodedBatch]:
    """One origin's events. `at` is the record's offset in the sessions topic, `size` its bytes there.

    Where `skimmed` is set the events were not read: `decoded` has none.
    """

    log_id: str
    partition: int
    offset: int
    at: int
    size: int
    decoded: D
    skimmed: Skimmed | None = None

    def __len__(self) -> int:
        return len(self.decoded) if self.skimmed is None else self.skimmed.events


class SessionsReader:
    """Gives `Batch`es from `positions` on. `start`, then `poll` from one thread, then `close`."""

    def __init__(
        self,
        config: Mapping[str, Any],
        positions: Mapping[int, Position],
        *,
        begin: Begin = Begin.COMPLETE,
        decode: Decode = decode_batch,
        registry: Registry | None = None,
        is_skimming: bool = False,
        max_pending_bytes: int = MAX_PENDING_BYTES,
        growth_interval_s: float = GROWTH_INTERVAL_S,
    ) -> None:
        self.alarms: dict[int, str] = {}
        self.waiting = ""
        self._config = {
            **config,
            "queued.max.messages.kbytes": QUEUE_KBYTES,
            # No fetch while something waits: what comes meanwhile comes together.
            "queued.min.messages": 1,
            "fetch.queue.backoff.ms": QUEUE_BACKOFF_MS,
        }
        self._last: dict[int, Position] = dict(positions)
        self._begin = begin
        self._decode = decode
        self._registry = registry
        self._is_skimming = is_skimming
        self._max_pending_bytes = max_pending_bytes
        self._growth_interval_s = growth_interval_s
        self._assigned: set[int] = set()
        self._read_to: dict[int, int] = {}
        self._fetched: deque[Message] = deque()
        self._pending: deque[Batch[Any]] = deque()
        self._pending_events = 0
        self._pending_bytes = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="sessions-reader", daemon=True)

    def start(self) -> None:
        """Begin to read ahead."""
        self._thread.start()

    def close(self) -> None:
        """Stop reading; what was read ahead is dropped."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def poll(self, max_events: int, wait_s: float) -> list[Batch[Any]]:
        """Batches of together about `max_events` events (always whole, at least one); empty after `wait_s`."""
        with self._changed:
            if not self._pending:
                self._changed.wait_for(lambda: self._pending or self._stopping, wait_s)
            taken: list[Batch[Any]] = []
            events = 0
            while self._pending and (not taken or events + len(self._pending[0]) <= max_events):
                batch = self._pending.popleft()
                taken.append(batch)
                events += len(batch)
                self._pending_events -= len(batch)
                self._pending_bytes -= batch.size
            self._changed.notify_all()
            return taken

    def wait(self, events: int, wait_s: float) -> None:
        """Until so many events wait for `poll`, or as many as may be read ahead, or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending_events >= events or self._is_full or self._stopping, wait_s)

    @property
    def _is_full(self) -> bool:
        return self._pending_bytes >= self._max_pending_bytes

    def is_past(self, ends: Mapping[int, int]) -> bool:
        """Whether every record of the sessions topic before these offsets was taken by `poll` or skipped."""
        with self._changed:
            unread = {batch.partition: batch.at for batch in reversed(self._pending)}
            return all(
                min(self._read_to.get(partition, 0), unread.get(partition, end)) >= end
                for partition, end in ends.items()
                if end
            )

    # Everything below runs in the reader's own thread.

    def _run(self) -> None:
        consumer = Consumer(self._config)
        grow_at = 0.0
        try:
            while not self._stopping:
                try:
                    if time.monotonic() >= grow_at:
                        self._assign_new(consumer)
                        grow_at = time.monotonic() + self._growth_interval_s
                    events = self._read_some(consumer)
                    self.waiting = ""
                    if events >= FULL_EVENTS:
                        self._rest()
                except (Unreachable, KafkaException) as error:
                    self._wait_for_broker(error)
        except Exception:
            _log.exception("the sessions reader failed")
            self.alarms[-1] = "the reader failed: see the log"
        finally:
            consumer.close()

    def _rest(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, FULL_REST_S)

    def _wait_for_broker(self, error: Exception) -> None:
        if not self.waiting:
            _log.warning("waiting for kafka: %s", error)
        self.waiting = f"kafka: {error}"
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, BACKOFF_S)

    def _assign_new(self, consumer: Consumer) -> None:
        """Take up partitions that are not read yet: all of them at first, later those by which the topic grew.

        Together: a fetch under way, which knows nothing of a new one, may wait long for its own.
        """
        new = [number for number in range(partition_count(consumer, SESSIONS)) if number not in self._assigned]
        starts = {partition: self._locate(partition) for partition in new}
        if not starts:
            return
        consumer.incremental_assign([TopicPartition(SESSIONS, partition, start) for partition, start in starts.items()])
        self._assigned |= starts.keys()
        with self._changed:
            self._read_to |= starts
        for partition, start in starts.items():
            _log.info("reading sessions[%d] from offset %d after %s", partition, start, self._last.get(partition))

    def _locate(self, partition: int) -> int:
        """Where to begin, found by origin alone. Raises Unreachable."""
        looking = {"auto.offset.reset": "earliest", "enable.partition.eof": True, "fetch.wait.max.ms": END_WAIT_MS}
        peeker = Consumer({**self._config, **looking})
        try:
            low, high = watermarks(peeker, SESSIONS, partition)
            last = self._last.get(partition)
            if last is None or low == high:
                return low
            return find_start(lambda offset: self._peek(peeker, partition, offset), low, high, last)
        except RecordError:
            return low  # the unreadable record is met again, and judged, where it stands
        finally:
            peeker.close()

    def _peek(self, peeker: Consumer, partition: int, offset: int) -> Found | None:
        peeker.assign([TopicPartition(SESSIONS, partition, offset)])
        message = peeker.poll(TIMEOUT_S)
        if message is None:
            raise Unreachable(f"sessions[{partition}]: no answer in {TIMEOUT_S} s")
        if message.error() is not None:
            if message.error().code() == KafkaError._PARTITION_EOF:
                return None
            raise Unreachable(f"sessions[{partition}]: {message.error().str()}")
        log_id, _, origin = decode_origin(message.value() or b"", self._registry)
        return Found(message.offset(), log_id, origin)

    def _read_some(self, consumer: Consumer) -> int:
        """Read what has come; how many events that were."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or not self._is_full, self._growth_interval_s)
            if self._stopping or self._is_full:
                return 0
        events = 0
        if not self._fetched:
            # `consume` alone would hold the first record back until its time is over.
            if (first := consumer.poll(FETCH_WAIT_S)) is not None:
                self._fetched.append(first)
                self._fetched.extend(consumer.consume(FETCH_RECORDS, 0))
        while self._fetched:
            message = self._fetched[0]
            if message.error() is not None:
                self._fetched.popleft()
                self._handle_error(consumer, message)
                continue
            if message.partition() not in self.alarms:
                events += self._take(consumer, message)  # raises while the schema registry is away: the message stays
            self._fetched.popleft()
        return events

    def _handle_error(self, consumer: Consumer, message: Message) -> None:
        """An offset that is no longer there is looked for again, by origin; anything else is waited for."""
        error = message.error()
        partition = message.partition()
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            _log.warning("sessions[%s]: %s; looking for the next origin again", partition, error.str())
            consumer.incremental_unassign([TopicPartition(SESSIONS, partition)])
            self._assigned.discard(partition)
            self._assign_new(consumer)
        elif error.code() != KafkaError._PARTITION_EOF:
            raise Unreachable(f"sessions: {error.str()}")

    def _take(self, consumer: Consumer, message: Message) -> int:
        """Give a message on; how many events are in it, none when it is passed over."""
        partition = message.partition()
        try:
            batch = self._judge(message)
        except (LogGap, RecordError) as error:
            self._stop_partition(consumer, partition, message.offset(), error)
            return 0
        with self._changed:
            if batch is not None:
                self._last[partition] = Position(batch.log_id, batch.offset)
                self._pending.append(batch)
                self._pending_events += len(batch)
                self._pending_bytes += batch.size
                self._changed.notify_all()
            self._read_to[partition] = message.offset() + 1
        return 0 if batch is None else len(batch)

    def _judge(self, message: Message) -> Batch[Any] | None:
        """The message as a batch, or None for a repeat. Raises LogGap, RecordError."""
        data = message.value() or b""
        partition = message.partition()
        log_id, raw_partition, offset = decode_origin(data, self._registry)
        if raw_partition != partition:
            raise LogGap(f"sessions[{partition}] holds a batch of raw partition {raw_partition}")
        last = self._last.get(partition) or self._sibling()
        if not is_next(partition, last, log_id, offset, self._begin):
            return None
        if last is None and offset:
            _log.warning("sessions[%d] begins at origin %d: nothing before it is forwarded", partition, offset)
        skimmed = _skim(message) if self._is_skimming else None
        decoded = self._decode(data, self._registry) if skimmed is None else NOTHING
        return Batch(log_id, partition, offset, message.offset(), len(data), decoded, skimmed)

    def _sibling(self) -> Position | None:
        """A partition without progress still has to be of the log the others are of."""
        if self._begin is Begin.EARLIEST:
            return None
        return next((Position(position.log_id, -1) for position in self._last.values()), None)

    def _stop_partition(self, consumer: Consumer, partition: int, at: int, error: Exception) -> None:
        reason = f"{error} (offset {at})"
        _log.error("alarm: sessions[%d] stopped: %s", partition, reason)
        self.alarms[partition] = reason
        consumer.pause([TopicPartition(SESSIONS, partition)])


def _skim(message: Message) -> Skimmed | None:
    """The tallies of a record's headers, None when there are none. Raises RecordError."""
    for name, value in message.headers() or ():
        if name == TALLIES:
            return Skimmed(*decode_tallies(value or b""))
    return None
