"""The input from topics whose offsets are their own coordinates: detections and retention.

Unlike the sessions topic these carry no origin to count by. A record's identity is the topic's id, partition and
offset; what a sink has stored of each partition is again its own progress. A topic that was re-created has another id
and is read from its beginning: the records in it say by their own ids whether they are known.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.errors import Unreachable
from schemas.wire.kafka import partition_count, topic_id, watermarks
from sinks.origins import Position

GROWTH_INTERVAL_S: Final = 5.0
QUEUE_KBYTES: Final = 4_096

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Record:
    """A record with its coordinates: `log_id` is the topic's id."""

    topic: str
    log_id: str
    partition: int
    offset: int
    data: bytes


class RecordReader:
    """Gives the `Record`s of one topic after `positions`, in order per partition. Used from one thread."""

    def __init__(
        self,
        config: Mapping[str, Any],
        topic: str,
        positions: Mapping[int, Position],
        *,
        growth_interval_s: float = GROWTH_INTERVAL_S,
    ) -> None:
        self.topic = topic
        self.alarms: dict[int, str] = {}
        self._config = {**config, "queued.max.messages.kbytes": QUEUE_KBYTES}
        self._positions = dict(positions)
        self._growth_interval_s = growth_interval_s
        self._grow_at = 0.0
        self._log_id = ""
        self._next: dict[int, int] = {}
        self._consumer = Consumer(self._config)

    def close(self) -> None:
        self._consumer.close()

    def poll(self, max_records: int, wait_s: float) -> list[Record]:
        """Up to `max_records`; empty after `wait_s`. Raises Unreachable."""
        try:
            if time.monotonic() >= self._grow_at:
                self._assign_new()
                self._grow_at = time.monotonic() + self._growth_interval_s
            messages = self._consumer.consume(max_records, wait_s)
        except KafkaException as error:
            raise Unreachable(f"{self.topic}: {error.args[0].str()}") from None
        records = []
        for message in messages:
            if message.error() is None:
                self._next[message.partition()] = message.offset() + 1
                records.append(
                    Record(self.topic, self._log_id, message.partition(), message.offset(), message.value() or b"")
                )
            elif message.error().code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
                self._reassign(message.partition())
            else:
                raise Unreachable(f"{self.topic}: {message.error().str()}")
        return records

    def is_at_end(self) -> bool:
        """Whether all that was written before this call has been given. Raises Unreachable."""
        count = partition_count(self._consumer, self.topic)
        return all(
            self._next.get(partition, -1) >= watermarks(self._consumer, self.topic, partition)[1]
            for partition in range(count)
        )

    def _assign_new(self) -> None:
        count = partition_count(self._consumer, self.topic)
        if not self._log_id:
            self._log_id = topic_id(self._config, self.topic)
        starts = {partition: self._start_of(partition) for partition in range(count) if partition not in self._next}
        if starts:  # together: a fetch under way knows nothing of a new one, and may wait long
            self._consumer.incremental_assign([TopicPartition(self.topic, *start) for start in starts.items()])
            self._next |= starts

    def _start_of(self, partition: int) -> int:
        """After the progress, or the beginning of a new topic; what retention removed meanwhile is an alarm."""
        low, _ = watermarks(self._consumer, self.topic, partition)
        position = self._positions.get(partition)
        if position is None:
            return low
        if position.log_id != self._log_id:
            _log.warning("%s[%d] was re-created: read from its beginning", self.topic, partition)
            return low
        if position.offset + 1 < low:
            self.alarms[partition] = f"offsets {position.offset + 1} to {low - 1} were removed unread"
            _log.error("alarm: %s[%d]: %s", self.topic, partition, self.alarms[partition])
        return max(low, position.offset + 1)

    def _reassign(self, partition: int) -> None:
        self._consumer.incremental_unassign([TopicPartition(self.topic, partition)])
        if (next_ := self._next.pop(partition, 0)) > 0:
            self._positions[partition] = Position(self._log_id, next_ - 1)
        self._log_id = ""
        self._assign_new()
