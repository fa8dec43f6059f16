"""The settings on which exactness rests."""

import asyncio
import contextlib
import time
from typing import Any, Final

import cramjam
import pytest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from processors import app as app_module
from processors.app import (
    ASK_AGAIN_S,
    GATHERED,
    NO_HURRY,
    ZSTD_LEVEL,
    IdempotentProducer,
    NoTables,
    SeekingConsumer,
    make_app,
    pack_faster,
    rest_between_fetches,
)
from schemas.config import Kafka, Settings
from schemas.runtime import Home
from tests.support.ports import get_free_port

ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"


async def test_the_app_is_as_its_stages_need_it(bare_home: Home) -> None:
    app = make_app(Settings(), bare_home, "mask", "7")
    conf = app.conf
    assert conf.id == "custody-mask" and conf.consumer_group_instance_id == "custody-mask-7"
    assert not conf.web_enabled and not conf.topic_allow_declare and conf.topic_disable_leader
    assert str(conf.datadir).startswith(str(bare_home.root))
    assert conf.broker_credentials.username == "mask"
    assert isinstance(app.tables, NoTables) and not app.tables
    assert app.transport.Consumer is SeekingConsumer and app.transport.Producer is IdempotentProducer
    producer = app.producer
    assert isinstance(producer, IdempotentProducer)
    assert producer._settings_extra() == {"acks": "all", "enable_idempotence": True}
    assert bare_home.read_secret("kafka/mask.password") not in repr(app.conf.broker_credentials)


async def test_an_app_reads_and_sends_at_its_pace(bare_home: Home) -> None:
    app = make_app(Settings(), bare_home, "retain", "0", NO_HURRY)
    assert isinstance(app.consumer, SeekingConsumer)
    thread = app.consumer._thread
    consumer = thread._create_worker_consumer(app.transport)
    await consumer.stop()
    thread.thread_loop.close()
    assert (consumer._fetch_min_bytes, consumer._fetch_max_wait_ms) == (NO_HURRY.fetch_bytes, NO_HURRY.fetch_wait_ms)


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class Client:
    """A Kafka client that notes when it was asked what."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.asked: list[tuple[float, int, object, dict[str, object]]] = []

    async def send(self, node_id: int, request: object, **options: object) -> None:
        self.asked.append((self._clock.now - 1000, node_id, request, options))


async def test_fetches_rest_and_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(app_module, "time", clock)
    monkeypatch.setattr(app_module, "asyncio", clock)
    client: Any = Client(clock)
    rest_between_fetches(client, 0.5)
    fetch = FetchRequest(1500, 1, 1 << 20, 0, [])
    await client.send(1, fetch)
    await client.send(2, fetch, group="g")  # another broker
    await client.send(1, "heartbeat")
    clock.now += 0.25
    await client.send(1, fetch)
    clock.now += 2  # a pause: what comes then comes at once
    await client.send(1, fetch)
    assert client.asked == [
        (0, 1, fetch, {}), (0, 2, fetch, {"group": "g"}), (0, 1, "heartbeat", {}), (0.5, 1, fetch, {}),
        (2.5, 1, fetch, {}),
    ]  # fmt: skip


async def test_facts_and_detection_gather(bare_home: Home) -> None:
    app = make_app(Settings(), bare_home, "facts", "0", GATHERED)
    thread = app.consumer._thread
    consumer = thread._create_worker_consumer(app.transport)
    await consumer.stop()
    thread.thread_loop.close()
    assert consumer._client.send.__name__ == "send_rested" and consumer._fetch_min_bytes == 1


def test_records_are_packed_at_the_level_that_costs_little() -> None:
    pack_faster()
    pack_faster()
    records = DefaultRecordBatchBuilder(
        magic=2, compression_type=DefaultRecordBatch.CODEC_ZSTD, is_transactional=0, producer_id=-1, producer_epoch=-1,
        base_sequence=-1, batch_size=1 << 20,
    )  # fmt: skip
    value = b"".join(str(number).encode() for number in range(40_000))
    records.append(0, timestamp=0, key=None, value=value, headers=[])
    built = bytes(records.build())
    at = built.index(ZSTD_MAGIC)
    packed = {level: bytes(cramjam.zstd.compress(cramjam.zstd.decompress(built[at:]), level=level)) for level in (1, 3)}
    assert built[at:] == packed[ZSTD_LEVEL] != packed[3]


async def test_a_client_does_not_ask_an_absent_broker_all_the_time(bare_home: Home) -> None:
    settings = Settings(kafka=Kafka(bootstrap=f"127.0.0.1:{get_free_port()}"))
    app = make_app(settings, bare_home, "facts")
    thread = app.consumer._thread
    consumer, producer = thread._create_worker_consumer(app.transport), app.producer._new_producer()
    for client in (consumer._client, producer.client):
        began = time.monotonic()
        assert not await client._metadata_update(client.cluster, [])
        assert time.monotonic() - began >= ASK_AGAIN_S
    await consumer.stop()
    with contextlib.suppress(Exception):
        await asyncio.wait_for(producer.stop(), 5)
    thread.thread_loop.close()
