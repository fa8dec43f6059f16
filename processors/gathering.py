"""Small records for one topic, gathered so that several go as one: under load a record costs more than what stands in
it, wherever it passes.

The first after a rest goes almost at once, further ones together, at most one a partition and `PACE_S`. What is
gathered is owed (`Stage.owe`): a record of the input is settled only after all of it is durable, so a process that dies
here absorbs that record again and sends the same once more.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from processors.stage import Cause, Partition, die
from schemas.events import FactBundle
from schemas.wire import framing

FIRST_S: Final = 0.005
PACE_S: Final = 0.1
MAX_ITEMS: Final = 256
MAX_BYTES: Final = 256 << 10
"""Bounds of what is gathered for one partition; what is larger alone goes alone."""


@dataclass(slots=True)
class _Gathered:
    """What waits for one partition of the output."""

    items: list[bytes] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)
    size: int = 0
    key: bytes | None = None


class Sender(Protocol):
    """What this needs of its stage (stage.py)."""

    def owe(self, part: Partition) -> Cause: ...

    async def send_for(
        self, causes: Sequence[Cause], topic: str, partition: int, value: bytes, key: bytes | None = None
    ) -> object: ...


class Gatherer:
    """Sends of one stage to one topic. Everything but the timer is called with the stage's lock held."""

    def __init__(self, stage: Sender, lock: asyncio.Lock, topic: str) -> None:
        self._stage, self._lock, self._topic = stage, lock, topic
        self._waiting: dict[int, _Gathered] = {}
        self._timer: asyncio.Task[None] | None = None
        self._sent_at = 0.0

    async def add(self, part: Partition, partition: int, item: bytes, key: bytes | None = None) -> None:
        """A framed record for `partition`, as an effect of what `part` absorbs. A key marks all that it goes with."""
        gathered = self._waiting.get(partition)
        if gathered is not None and (len(gathered.items) >= MAX_ITEMS or gathered.size + len(item) > MAX_BYTES):
            await self._send(partition)
            gathered = None
        if gathered is None:
            gathered = self._waiting[partition] = _Gathered()
        gathered.items.append(item)
        gathered.causes.append(self._stage.owe(part))
        gathered.size += len(item)
        gathered.key = key or gathered.key
        if self._timer is None:
            self._timer = asyncio.create_task(self._release_later())
            self._timer.add_done_callback(_must_succeed)

    async def release(self) -> None:
        """Send all of it."""
        for partition in list(self._waiting):
            await self._send(partition)

    async def _send(self, partition: int) -> None:
        gathered = self._waiting.pop(partition)
        self._sent_at = time.monotonic()
        items = gathered.items
        value = items[0] if len(items) == 1 else framing.encode(FactBundle(items))
        await self._stage.send_for(gathered.causes, self._topic, partition, value, gathered.key)

    async def _release_later(self) -> None:
        await asyncio.sleep(max(FIRST_S, self._sent_at + PACE_S - time.monotonic()))
        async with self._lock:
            self._timer = None
            await self.release()


def _must_succeed(done: asyncio.Task[None]) -> None:
    if not done.cancelled() and done.exception() is not None:
        die(f"what was gathered could not be sent: {done.exception()!r}")


def items_of(value: bytes) -> Iterator[bytes]:
    """The framed records in one record of the topic. Raises RecordError, Unreachable as framing does."""
    if framing.find_body(value)[0] == "FactBundle":
        yield from framing.decode_fields(value)[1]["items"]
    else:
        yield value
