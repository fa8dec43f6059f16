"""The retention stage: follows sessions, orders each due (class, day) away once, on the retention topic.

What was ordered is read back from the retention topic itself, whole (an order is a line a day and class), before every
look for due slices; what was seen is in the snapshots. The sink that carries an order out answers DONE on that topic.
Legal holds are the sink's to keep to, row by row; an order says which were in force, and one that is released makes the
days due again of which it kept rows.
"""

import asyncio
import logging
import time
from typing import Any, ClassVar

from confluent_kafka import Consumer

from processors.app import StageApp
from processors.retention.calendar import Calendar
from processors.retention.slices import read_slices
from processors.stage import Partition, Stage
from schemas import topics
from schemas.config import Settings
from schemas.errors import CustodyError, RecordError
from schemas.events import Progress, RetentionAction
from schemas.runtime import Home, now_us
from schemas.wire import framing, kafka
from schemas.wire.holds import HoldReader

log = logging.getLogger(__name__)


class RetainStage(Stage):
    """sessions -> retention orders."""

    component: ClassVar[str] = "retain"
    source: ClassVar[str] = topics.SESSIONS

    def __init__(self, settings: Settings, home: Home, app: StageApp) -> None:
        super().__init__(settings, home, app)
        self._calendar = Calendar()
        self._holds = HoldReader(settings, home, self.component)
        self._actions_read = 0
        self._looked_at = 0.0

    def restore_partition(self, number: int, saved: Progress | None) -> Partition:
        part = self.resumed(number, saved)
        is_same = saved is not None and saved.log_id == self.source_id
        self._calendar.restore(number, self.saved_state(saved) if is_same else None)
        return part

    def save(self, part: Partition) -> Any:
        return self._calendar.save(part.number, self.source_id)

    async def absorb(self, part: Partition, message: Any) -> None:
        # A batch emitted twice touches the same slices, so repeats need no care here.
        slices = read_slices(message.value or b"", dict(message.headers or {}))
        self._calendar.observe(part.number, message.offset, slices)

    async def tick(self) -> None:
        await super().tick()
        now = time.monotonic()
        if now - self._looked_at < self.settings.retention.interval_s or not self.partitions:
            return
        self._looked_at = now
        try:
            await asyncio.to_thread(self._read_actions)
            holds = await asyncio.to_thread(self._holds.read)
        except CustodyError as error:
            log.warning("retention: no orders now: %s", error)
            return
        await self._order_due(frozenset(holds))

    async def _order_due(self, holds: frozenset[str]) -> None:
        async with self._lock:
            positions = {part.number: part.expected - 1 for part in self.partitions.values()}
            classes = self.settings.retention.ages
            orders = self._calendar.due(classes, now_us(), self.source_id, positions, holds)
            for order in orders:
                log.info("expire %s: %s", order.order_id, order.reason)
                await (await self.send(None, topics.RETENTION, 0, framing.encode(order)))
            unknown = self._calendar.unknown_classes(classes)
        if unknown:
            self.raise_alarm("classes", f"events of unknown retention classes never expire: {sorted(unknown)[:10]}")
        if orders:
            await asyncio.to_thread(self._read_actions)

    def _read_actions(self) -> None:
        """Learn what the retention topic holds since the last look."""
        probe = Consumer(self.reader_config)
        try:
            low, high = kafka.watermarks(probe, topics.RETENTION, 0)
        finally:
            probe.close()
        for message in kafka.read_range(self.reader_config, topics.RETENTION, 0, max(low, self._actions_read), high):
            try:
                record = framing.decode(message.value() or b"")
            except RecordError as error:
                log.error("retention topic, offset %s: %s", message.offset(), error)
                continue
            if isinstance(record, RetentionAction):
                self._calendar.learn(record)
        self._actions_read = high
