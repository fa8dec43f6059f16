"""Group commit on a real broker: durable means on Kafka, in order, once; a broker that is away is noticed."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer

from ingest.spool import DiskSpool
from schemas import topics
from schemas.config import Capture, Settings, find_settings
from schemas.errors import AuditUnavailable
from schemas.events import Event, EventBatch, EventKind, SealedBatch, SessionContext
from schemas.runtime import Home
from schemas.wire import framing, kafka
from schemas.wire.batching import encode_context, encode_event
from schemas.wire.publisher import Partition, Publisher
from schemas.wire.sealing import Sealer, Unsealer, verify
from tests.support.homes import connect_home
from tests.support.kafka import Kafka, run_kafka

CONTEXT = SessionContext("s", "ann", "planner")
FAST = Capture(audit_timeout_s=3, max_batch_bytes=4096)


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker that these tests may stop."""
    with run_kafka(tmp_path_factory.mktemp("own-kafka")) as running:
        yield running


@pytest.fixture
def own_home(bare_home: Home, own_kafka: Kafka) -> Home:
    connect_home(bare_home, own_kafka)
    return bare_home


def broker_pid(kafka_: Kafka) -> int:
    assert kafka_.broker.child is not None
    return kafka_.broker.child.pid


def make_publisher(home: Home, spool: DiskSpool | None = None, capture: Capture = FAST) -> Publisher:
    settings: Settings = find_settings(home)
    sealer = Sealer("proxy-tcp", home.signing_key("proxy-tcp"), home.unseal_public())
    return Publisher(kafka.producer_config(settings, home, "proxy"), sealer, capture, spool)


def append(publisher: Publisher, partition: Partition, seq: int, size: int = 10) -> int:
    event = Event(seq, 1, EventKind.ACTION_REQUESTED.value, statement="x" * size)
    return publisher.append(partition, CONTEXT.session_id, encode_context(CONTEXT), encode_event(event))


async def wait_until_drained(publisher: Publisher, partition: Partition, spool: DiskSpool) -> None:
    while partition.durable < partition.appended or spool.count(partition.number):
        await asyncio.sleep(0.05)


def read_batches(home: Home, epoch: str, partition: int) -> list[EventBatch]:
    """Every batch of an epoch on the raw topic, verified and opened, in order."""
    settings = find_settings(home)
    config = kafka.reader_config(settings, home, "mask")
    consumer = Consumer(config)
    low, high = kafka.watermarks(consumer, topics.RAW, partition)
    consumer.close()
    key = home.unseal_key()
    unsealer = Unsealer({key.public_key().id: key})
    found = []
    for message in kafka.read_range(config, topics.RAW, partition, low, high):
        sealed = framing.decode(message.value())
        assert isinstance(sealed, SealedBatch)
        if sealed.header.proxy_epoch == epoch:
            verify(sealed, home.verify_key("proxy-tcp"))
            found.append(framing.BUILDERS["EventBatch"](framing.decode_body("EventBatch", unsealer.unseal(sealed))))
    return found


def seqs_of(batches: list[EventBatch]) -> list[int]:
    return [item.event.seq for batch in batches for item in batch.events]


async def test_durable_events_are_on_kafka_in_order_once(home: Home) -> None:
    publisher = make_publisher(home)
    await publisher.start()
    partition = publisher.partition_for("s")
    for seq in range(1, 501):
        ticket = append(publisher, partition, seq, 100)
        if seq % 7 == 0:
            await asyncio.sleep(0)
    await publisher.wait(partition, ticket)
    batches = read_batches(home, publisher.epoch, partition.number)
    assert seqs_of(batches) == list(range(1, 501))
    assert [batch.batch_seq for batch in batches] == list(range(len(batches)))
    assert 1 < len(batches) < 500
    assert await publisher.close(5)


async def test_what_nobody_waits_for_gathers_and_still_goes_by_itself(home: Home) -> None:
    publisher = make_publisher(home)
    await publisher.start()
    partition = publisher.partition_for("s")
    context = encode_context(CONTEXT)
    for seq in range(1, 51):
        event = encode_event(Event(seq, 1, EventKind.ACTION_REQUESTED.value))
        ticket = publisher.append(partition, CONTEXT.session_id, context, event, is_urgent=False)
        await asyncio.sleep(0)
    await publisher.wait(partition, ticket)
    relaxed = read_batches(home, publisher.epoch, partition.number)
    assert seqs_of(relaxed) == list(range(1, 51))
    urgent = append(publisher, partition, 51)
    await publisher.wait(partition, urgent)
    assert seqs_of(read_batches(home, publisher.epoch, partition.number)) == list(range(1, 52))
    assert await publisher.close(5)


async def test_outcomes_that_are_about_to_come_share_a_batch(home: Home) -> None:
    publisher = make_publisher(home)
    await publisher.start()
    partition = publisher.partition_for("s")
    await publisher.wait(partition, append(publisher, partition, 1))
    marks = [partition.outlook.expect() for _ in range(10)]
    for seq, mark in enumerate(marks, 2):
        partition.outlook.meet(mark)
        ticket = append(publisher, partition, seq)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await publisher.wait(partition, ticket)
    batches = read_batches(home, publisher.epoch, partition.number)
    assert seqs_of(batches) == list(range(1, 12))
    assert len(batches[1].events) >= 2  # the first of them has waited
    assert await publisher.close(5)


async def test_what_is_expected_and_does_not_come_is_waited_for_a_moment_only(home: Home) -> None:
    publisher = make_publisher(home)
    await publisher.start()
    partition = publisher.partition_for("s")
    for _ in range(100):
        partition.outlook.expect()
    await publisher.wait(partition, append(publisher, partition, 1))
    await publisher.wait(partition, append(publisher, partition, 2))
    assert partition.gathering is None
    assert seqs_of(read_batches(home, publisher.epoch, partition.number)) == [1, 2]
    assert await publisher.close(5)


async def test_what_nobody_will_ever_wait_for_still_goes_by_itself(home: Home) -> None:
    publisher = make_publisher(home)
    await publisher.start()
    partition = publisher.partition_for("s")
    context = encode_context(CONTEXT)
    for seq in range(1, 31):
        event = encode_event(Event(seq, 1, EventKind.ACTION_REQUESTED.value))
        ticket = partition.append(CONTEXT.session_id, context, event, False)
        await asyncio.sleep(0.001)
    await publisher.wait(partition, ticket)
    batches = read_batches(home, publisher.epoch, partition.number)
    assert seqs_of(batches) == list(range(1, 31))
    assert len(batches) < 30
    assert await publisher.close(5)


async def test_a_session_keeps_its_partition(home: Home) -> None:
    publisher = make_publisher(home)
    await publisher.start()
    assert publisher.partition_for("s") is publisher.partition_for("s")
    assert len({publisher.partition_for(str(i)).number for i in range(100)}) == len(publisher.partitions())
    await publisher.close(1)


async def test_new_sessions_share_the_home_of_their_process(home: Home) -> None:
    publishers = [make_publisher(home) for _ in range(8)]
    homes = set()
    for publisher in publishers:
        await publisher.start()
        numbers = {publisher.partition_for(publisher.new_session_id()).number for _ in range(20)}
        assert len(numbers) == 1
        homes |= numbers
        await publisher.close(1)
    assert len(homes) > 1


async def test_a_stalled_broker_is_noticed_and_service_resumes(own_home: Home, own_kafka: Kafka) -> None:
    publisher = make_publisher(own_home)
    await publisher.start()
    partition = publisher.partition_for("s")
    await publisher.wait(partition, append(publisher, partition, 1))
    pid = broker_pid(own_kafka)
    stalls: list[bool] = []
    partition.stall_watchers.add(lambda: stalls.append(True))
    os.kill(pid, signal.SIGSTOP)
    try:
        ticket = append(publisher, partition, 2)
        with pytest.raises(AuditUnavailable):
            await publisher.wait(partition, ticket)
        assert partition.is_stalled and stalls and partition.durable == 1
    finally:
        os.kill(pid, signal.SIGCONT)
    await asyncio.wait_for(publisher.wait(partition, ticket, accept_spool=True), 30)
    assert partition.durable == 2 and not partition.is_stalled
    assert seqs_of(read_batches(own_home, publisher.epoch, partition.number)) == [1, 2]
    await publisher.close(5)


async def test_too_much_waiting_is_refused_not_kept(own_home: Home, own_kafka: Kafka) -> None:
    publisher = make_publisher(own_home, capture=Capture(max_pending_bytes=1 << 20, audit_timeout_s=60))
    await publisher.start()
    partition = publisher.partition_for("s")
    pid = broker_pid(own_kafka)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(AuditUnavailable, match="too many"):
            for seq in range(1, 400):
                append(publisher, partition, seq, 10_000)
                await asyncio.sleep(0)
        assert partition.pending_bytes <= 1 << 20
    finally:
        os.kill(pid, signal.SIGCONT)
    assert await publisher.close(30)
    seqs = seqs_of(read_batches(own_home, publisher.epoch, partition.number))
    assert seqs == list(range(1, len(seqs) + 1)) and len(seqs) == partition.appended


async def test_the_spool_carries_on_and_is_drained_in_order(own_home: Home, own_kafka: Kafka, tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path / "spool", 1 << 20)
    publisher = make_publisher(own_home, spool)
    await publisher.start()
    partition = publisher.partition_for("s")
    pid = broker_pid(own_kafka)
    os.kill(pid, signal.SIGSTOP)
    try:
        for seq in range(1, 21):
            await asyncio.wait_for(publisher.wait(partition, append(publisher, partition, seq), accept_spool=True), 30)
        assert partition.kept == 20 and partition.durable == 0
        assert spool.count(partition.number) >= 2
        assert b"xxxx" not in b"".join(path.read_bytes() for path in (tmp_path / "spool").iterdir())
        append(publisher, partition, 21)
    finally:
        os.kill(pid, signal.SIGCONT)
    await asyncio.wait_for(wait_until_drained(publisher, partition, spool), 60)
    assert await publisher.close(5)
    seqs = seqs_of(read_batches(own_home, publisher.epoch, partition.number))
    assert sorted(set(seqs)) == list(range(1, 22))


async def test_what_an_ended_process_spooled_is_sent_by_the_next(home: Home, tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path / "spool", 1 << 20)
    sealer = Sealer("proxy-tcp", home.signing_key("proxy-tcp"), home.unseal_public())
    batch = EventBatch("proxy-tcp", sealer.epoch, 0)
    plain = framing.encode_body("EventBatch", framing.batch_fields(batch))
    spool.append(1, framing.encode(sealer.seal(plain, 1, 0, 1)))
    spool.close()
    publisher = make_publisher(home, spool := DiskSpool(tmp_path / "spool", 1 << 20))
    await publisher.start()
    await asyncio.wait_for(wait_until_drained(publisher, publisher.partitions()[1], spool), 60)
    assert [found.batch_seq for found in read_batches(home, sealer.epoch, 1)] == [0]
    await publisher.close(5)
