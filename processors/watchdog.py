"""Ends a worker whose input waits while its progress stands still, the broker being up: stalls of the client are known.

Also ends it when the input topic became another one (deleted and made again): its positions would mean other records.
And has it ask again while it was assigned nothing.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka.admin import AdminClient

from processors.stage import Stage, die
from schemas.errors import CustodyError
from schemas.wire import kafka

log = logging.getLogger(__name__)

STALL_S: Final = 45.0
LONE_STALL_S: Final = 600.0
"""How long records may wait while the stage stands still, and while it is at other partitions: it takes them in turns,
and on a slow machine behind a long backlog a turn is long."""
CHECK_S: Final = 3.0


@dataclass(slots=True)
class StallClock:
    """When each partition last moved or had nothing to do, and when any did. Pure: time is passed in."""

    stall_s: float = STALL_S
    lone_stall_s: float = LONE_STALL_S
    _seen: dict[int, tuple[int, float]] = field(default_factory=dict)
    _moved_at: float | None = None

    def observe(self, partition: int, settled: int, end: int, is_waiting: bool, now: float) -> bool:
        """True when records up to `end` have waited for too long. A waiting partition has said so itself."""
        known, since = self._seen.get(partition, (None, now))
        if self._moved_at is None or (known is not None and known != settled):
            self._moved_at = now
        if known != settled or end <= settled + 1 or is_waiting:
            self._seen[partition] = (settled, now)
            return False
        self._seen[partition] = (settled, since)
        waited = now - since
        return waited > self.lone_stall_s or (waited > self.stall_s and now - self._moved_at > self.stall_s)

    def forget(self) -> None:
        """The broker was away: what stood still then says nothing."""
        self._seen.clear()
        self._moved_at = None


class Watchdog:
    """Watches one stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._clock = StallClock(STALL_S * stage.patience, LONE_STALL_S * stage.patience)

    async def run(self) -> None:
        """Until cancelled, or until the process ends."""
        admin = AdminClient(self._stage.client_config)  # one for all looks: a new client logs in anew
        while True:
            await asyncio.sleep(CHECK_S)
            self._stage.app.consumer.rejoin_when_unassigned()
            if not self._stage.is_ready.is_set():
                continue
            try:
                ends, source_id = await asyncio.to_thread(self._look, admin)
            except CustodyError as error:
                log.warning("watchdog: %s", error)
                self._clock.forget()
                continue
            self._judge(ends, source_id)

    def _look(self, admin: AdminClient) -> tuple[dict[int, int], str]:
        stage = self._stage
        source_id = kafka.topic_id(admin, stage.source)
        return kafka.ends_of(admin, stage.source, list(stage.partitions)), source_id

    def _judge(self, ends: dict[int, int], source_id: str) -> None:
        stage = self._stage
        if source_id != stage.source_id:
            die(f"{stage.source} is another topic than at the start")
        now = time.monotonic()
        for number, end in ends.items():
            part = stage.partitions.get(number)
            if part is None:
                continue
            if self._clock.observe(number, part.settled, end, bool(part.waits_for), now):
                die(f"{stage.source}[{number}] stands at {part.settled}, its end at {end}")
