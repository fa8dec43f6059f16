"""The Faust application of a stage: its settings, and the places where the driver is told to do otherwise.

Faust's committed offsets are not trusted (it commits past failed and in-flight records). Instead `perform_seek`, which
Faust calls last after each assignment and before any record flows, asks the stage where its own output ends. The
producer is idempotent, for which Faust has no setting: without it, batches expire under a short request timeout while
later ones go through, and a hole in the output stays.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import faust
from aiokafka import codec
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from yarl import URL

from schemas.config import Settings
from schemas.runtime import Home
from schemas.topics import MAX_RECORD_BYTES
from schemas.wire import kafka

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S: Final = 40.0
SEND_TIMEOUT_S: Final = 120.0
ASK_AGAIN_S: Final = 0.25
ZSTD_LEVEL: Final = 1
"""Half the CPU time of level 3, which aiokafka takes without asking, and batches three hundredths larger."""
BUFFERED_RECORDS: Final = 64
"""Records that wait within Faust, per agent: bounds memory, since one record may hold a MiB."""


class Seeker(Protocol):
    """What the consumer asks of its stage."""

    async def restore(self, partitions: set[int]) -> Mapping[int, int]:
        """Make the own output durable, read it back, and say the next input offset of each partition."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is to come before the broker answers a stage: each request costs it, however little it brings.

    `fetch_bytes`, `fetch_wait_ms`: a fetch is answered when there is so much to read, or after that time. `rest_s`:
    least time from one fetch to the next, so that the first record after a pause comes at once, and under load many
    come together.
    """

    fetch_bytes: int = 1
    fetch_wait_ms: int = 1500
    rest_s: float = 0.0


AT_ONCE: Final = Pace()
GATHERED: Final = Pace(rest_s=0.1)
NO_HURRY: Final = Pace(fetch_bytes=1 << 20, fetch_wait_ms=1000)


def rest_after_failures(client: Any) -> None:
    """Let a Kafka client rest after it asked in vain where partitions are led.

    While a broker is away, aiokafka's sender and fetcher ask as fast as a refused connection comes back, several
    hundred times a second and worker: on a small machine the broker hardly gets up beside them.
    """
    update = client._metadata_update

    async def update_or_rest(*arguments: Any) -> bool:
        is_updated: bool = await update(*arguments)
        if not is_updated:
            await asyncio.sleep(ASK_AGAIN_S)
        return is_updated

    client._metadata_update = update_or_rest


def rest_between_fetches(client: Any, rest_s: float) -> None:
    """Let a Kafka client send a node at most one fetch in `rest_s`. What else it asks is not held up.

    While a fetch waits here the fetcher judges its partitions as it does while one is under way: an answer for an
    assignment or a position of before is dropped.
    """
    send = client.send
    sent_at: dict[int, float] = {}

    async def send_rested(node_id: int, request: Any, **options: Any) -> Any:
        if isinstance(request, FetchRequest):
            now = time.monotonic()
            await asyncio.sleep(max(0.0, sent_at.get(node_id, now - rest_s) + rest_s - now))
            sent_at[node_id] = time.monotonic()
        return await send(node_id, request, **options)

    client.send = send_rested


def pack_faster() -> None:
    """Let aiokafka compress at `ZSTD_LEVEL`, for which it has no setting. Repeatable."""
    module: Any = sys.modules[DefaultRecordBatchBuilder.__module__]  # compiled, or the same in Python
    module.zstd_encode = partial(codec.zstd_encode, level=ZSTD_LEVEL)


class PacedThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Reads at the app's pace, for which Faust has no setting."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        pace: Pace = self.app.pace
        consumer._fetch_min_bytes, consumer._fetch_max_wait_ms = pace.fetch_bytes, pace.fetch_wait_ms
        rest_after_failures(consumer._client)
        if pace.rest_s:
            rest_between_fetches(consumer._client, pace.rest_s)
        return consumer

    def rejoin(self) -> None:
        """Join the group once more, so that it assigns anew. Callable from any thread."""
        if self._consumer is not None:
            self.thread_loop.call_soon_threadsafe(self._consumer._coordinator.request_rejoin)


class SeekingConsumer(driver.Consumer):  # type: ignore[misc]
    """Seeks to what the stage's own output says."""

    def _new_consumer_thread(self) -> PacedThread:
        return PacedThread(self, loop=self.loop, beacon=self.beacon)

    def rejoin_when_unassigned(self) -> None:
        """Do not stay with an assignment of nothing.

        A static member that comes back gets the assignment of before, unasked. When that was made by a leader that
        did not find the topic at the moment (the broker had just started) and died, nobody else would correct it.
        """
        if self.app.unassigned:
            log.warning("%s was assigned nothing; joining again", self.app.conf.id)
            self._thread.rejoin()

    async def perform_seek(self) -> None:
        """Position every assigned partition; runs after each assignment, before records flow."""
        assigned = self.assignment()
        positions = await self.app.seeker.restore({tp.partition for tp in assigned})
        target = {TP(tp.topic, tp.partition): positions[tp.partition] for tp in assigned}
        await self.seek_wait(target)
        self._read_offset.update(target)
        self._committed_offset.update(target)


class IdempotentProducer(driver.Producer):  # type: ignore[misc]
    """Acks from all replicas, no reordering, no duplicates by retries."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    def _new_producer(self, transactional_id: str | None = None) -> Any:
        producer = super()._new_producer(transactional_id)
        rest_after_failures(producer.client)
        return producer


class Transport(driver.Transport):  # type: ignore[misc]
    """The aiokafka driver with both changes."""

    Consumer = SeekingConsumer
    Producer = IdempotentProducer


class NoTables(TableManager):  # type: ignore[misc]
    """Stages keep no tables of Faust's, for whose registration it rests a second before it reads anything."""

    async def on_start(self) -> None:
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()


class StageApp(faust.App):  # type: ignore[misc]
    """A Faust app that knows its stage."""

    seeker: Seeker
    pace: Pace = AT_ONCE

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Transport:
        return Transport(self.conf.broker_producer, self)


def make_app(settings: Settings, home: Home, component: str, instance: str = "0", pace: Pace = AT_ONCE) -> StageApp:
    """An app that logs in as `component`. `instance` names this worker among those of one component."""
    brokers = [URL(f"kafka://{address.strip()}") for address in settings.bootstrap().split(",")]
    credentials = faust.SASLCredentials(
        username=component,
        password=home.read_secret(f"kafka/{component}.password"),
        mechanism="SCRAM-SHA-256",
        ssl_context=kafka.ssl_context(settings),
    )
    app = StageApp(
        f"custody-{component}",
        broker=brokers,
        broker_credentials=credentials,
        broker_client_id=f"custody-{component}",
        datadir=str(_data_dir(home, component)),
        store="memory://",
        key_serializer="raw",
        value_serializer="raw",
        autodiscover=False,
        TableManager=NoTables,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        # Static membership: a killed worker is back with its partitions as soon as it rejoins.
        consumer_group_instance_id=f"custody-{component}-{instance}",
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=MAX_RECORD_BYTES,
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
        # The coordinator may wait this long for a member that was killed while it joined.
        broker_rebalance_timeout=10.0,
        broker_request_timeout=REQUEST_TIMEOUT_S,
        broker_max_poll_records=BUFFERED_RECORDS,
        stream_buffer_maxsize=BUFFERED_RECORDS,
        stream_wait_empty=False,
        producer_max_batch_size=1 << 20,
        producer_max_request_size=MAX_RECORD_BYTES,
        producer_compression_type="zstd",
        producer_request_timeout=SEND_TIMEOUT_S,
    )
    app.pace = pace
    pack_faster()
    return app


def _data_dir(home: Home, component: str) -> Path:
    path = home.root / "faust" / component
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path
