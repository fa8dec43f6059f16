"""Follows the masked log for approvals from a short time ago on: what waits is never older than its time limit.

Nothing is saved: after a start the last minutes are read again, and what waits is known again.
"""

import logging
import time
from collections.abc import Iterator
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas import topics
from schemas.config import Settings
from schemas.errors import RecordError, Unreachable
from schemas.events import EventBatch
from schemas.runtime import Home, now_us
from schemas.wire import framing, kafka
from sinks.approvals.pending import NEEDLES, HeldAction, Pending

_log = logging.getLogger(__name__)

SLACK_S: Final = 60.0
"""Clocks differ, and records reach the masked log a moment later."""


class Follower:
    """`pending` is what is known so far. Not safe for several threads."""

    def __init__(
        self, settings: Settings, home: Home, component: str, window_s: float, needles: tuple[bytes, ...] = NEEDLES
    ) -> None:
        self.pending = Pending()
        self._needles = needles
        self._window_s = window_s
        config = kafka.reader_config(settings, home, component)
        self._consumer = Consumer(config | {"auto.offset.reset": "latest", "fetch.wait.max.ms": 50})
        self._ends: dict[int, int] = {}
        self._reached: dict[int, int] = {}

    def start(self) -> None:
        """Begin a window ago, in every partition. Raises Unreachable."""
        since = (now_us() - int((self._window_s + SLACK_S) * 1e6)) // 1000
        count = kafka.partition_count(self._consumer, topics.SESSIONS)
        wanted = [TopicPartition(topics.SESSIONS, number, since) for number in range(count)]
        try:
            found = self._consumer.offsets_for_times(wanted, timeout=kafka.TIMEOUT_S)
        except KafkaException as error:
            raise Unreachable(f"{topics.SESSIONS}: {error.args[0].str()}") from None
        for place in found:
            low, high = kafka.watermarks(self._consumer, topics.SESSIONS, place.partition)
            if place.offset in (OFFSET_BEGINNING, OFFSET_END) or place.offset < 0:
                place.offset = high
            self._reached[place.partition] = max(place.offset, low)
        places = [TopicPartition(topics.SESSIONS, number, at) for number, at in self._reached.items()]
        self._consumer.incremental_assign(places)
        self._ends = {n: kafka.watermarks(self._consumer, topics.SESSIONS, n)[1] for n in self._reached}

    def grow(self) -> None:
        """Take up partitions by which the topic has grown. Raises Unreachable."""
        for number in range(kafka.partition_count(self._consumer, topics.SESSIONS)):
            if number not in self._reached:
                self._reached[number] = 0
                self._consumer.incremental_assign([TopicPartition(topics.SESSIONS, number, OFFSET_BEGINNING)])

    @property
    def is_caught_up(self) -> bool:
        """Whether all that was written before `start` was read."""
        return all(self._reached[number] >= end for number, end in self._ends.items())

    def read(self, timeout_s: float) -> list[EventBatch]:
        """The batches that come within a time and may say something to the point. Raises Unreachable."""
        batches = [self._read(message) for message in self._messages(timeout_s)]
        return [batch for batch in batches if batch is not None]

    def poll(self, timeout_s: float) -> list[HeldAction]:
        """Read what comes within a time; the actions that newly wait. Raises Unreachable."""
        return self.take(self.read(timeout_s))

    def take(self, batches: list[EventBatch]) -> list[HeldAction]:
        """The actions that newly wait, and still do at the end of these batches."""
        found = [held for batch in batches for held in self.pending.take(batch)]
        return [held for held in found if self.pending.find(held.approval_id) is not None]

    def catch_up(self, timeout_s: float) -> None:
        """Read until `is_caught_up`. Raises Unreachable when that takes too long."""
        deadline = time.monotonic() + timeout_s
        while not self.is_caught_up:
            if time.monotonic() > deadline:
                raise Unreachable("the masked log was not read in time")
            self.poll(0.2)

    def close(self) -> None:
        self._consumer.close()

    def _messages(self, timeout_s: float) -> Iterator[Message]:
        first = self._consumer.poll(timeout_s)
        if first is not None:
            yield first
            yield from self._consumer.consume(1000, 0)

    def _read(self, message: Message) -> EventBatch | None:
        """The batch, if it may say something to the point."""
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                return None
            raise Unreachable(f"{topics.SESSIONS}: {error.str()}")
        self._reached[message.partition() or 0] = (message.offset() or 0) + 1
        data = message.value() or b""
        if not any(needle in data for needle in self._needles):
            return None
        try:
            batch = framing.decode(data)
        except RecordError as fault:
            _log.error("alarm: %s[%s] offset %s: %s", topics.SESSIONS, message.partition(), message.offset(), fault)
            return None
        return batch if isinstance(batch, EventBatch) else None
