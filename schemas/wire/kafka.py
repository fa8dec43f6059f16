"""Kafka clients of the components: addresses, logins, topic ids, tails. One place, so a setting has one meaning."""

import contextlib
import ssl
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.config import Settings
from schemas.errors import Unreachable
from schemas.runtime import Home

TIMEOUT_S: Final = 10.0
SETTLING_S: Final = 10.0
"""How long a partition may have no leader: a broker that comes back tells of topics before it leads partitions."""
SETTLING: Final = frozenset(
    {
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.OFFSET_NOT_AVAILABLE,
    }
)
"""What is told of a partition in that time."""
ASK_AGAIN_S: Final = 0.25
END_WAIT_MS: Final = 20
"""How long a reader that looks for the end of a partition lets an empty fetch wait: its end is told after that."""


def client_config(settings: Settings, home: Home, component: str) -> dict[str, Any]:
    """librdkafka settings to log in as a component."""
    config: dict[str, Any] = {
        "bootstrap.servers": settings.bootstrap(),
        "security.protocol": settings.kafka.security_protocol,
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": component,
        "sasl.password": home.read_secret(f"kafka/{component}.password"),
        "client.id": f"custody-{component}",
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 1000,
        "socket.keepalive.enable": True,
        "log_level": 2,
    }
    if settings.kafka.ca_file:
        config["ssl.ca.location"] = settings.kafka.ca_file
    return config


def producer_config(settings: Settings, home: Home, component: str) -> dict[str, Any]:
    """An idempotent producer that never drops: no message timeout, no linger (batches are ours)."""
    return client_config(settings, home, component) | {
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 0,
        "message.timeout.ms": 0,
        "message.max.bytes": 4_000_000,
        "compression.type": "none",
        "topic.metadata.refresh.interval.ms": 30_000,
    }


def reader_config(settings: Settings, home: Home, component: str) -> dict[str, Any]:
    """A consumer that is assigned by hand and commits nothing: progress lives in the reader's own output."""
    return client_config(settings, home, component) | {
        "group.id": f"{component}-reader",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": False,
        "isolation.level": "read_committed",
        # How long an empty fetch waits at the broker. What arrives is sent at once, unless it is of a partition that
        # this fetch left out, because records of it still waited to be read: then it comes when the fetch has ended.
        "fetch.wait.max.ms": 250,
        "fetch.message.max.bytes": 8_000_000,
        "queued.max.messages.kbytes": 65_536,
    }


def ssl_context(settings: Settings) -> ssl.SSLContext | None:
    """TLS for the asyncio client, when the brokers want it."""
    if settings.kafka.security_protocol != "SASL_SSL":
        return None
    return ssl.create_default_context(cafile=settings.kafka.ca_file or None)


def topic_id(client: dict[str, Any] | AdminClient, topic: str) -> str:
    """Kafka's id of a topic, which a re-created topic does not share. Raises Unreachable.

    `client` is a configuration, or a client that is there: a new one logs in twice, which takes it 0.1 CPU seconds.
    """
    admin = client if isinstance(client, AdminClient) else AdminClient(client)
    try:
        description = admin.describe_topics(TopicCollection([topic]), request_timeout=TIMEOUT_S)[topic].result()
    except KafkaException as error:
        raise Unreachable(f"topic {topic}: {error.args[0].str()}") from None
    return str(description.topic_id)


def partition_count(consumer: Consumer, topic: str) -> int:
    """How many partitions a topic has now. Raises Unreachable."""
    try:
        metadata = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
    except KafkaException as error:
        raise Unreachable(f"topic {topic}: {error.args[0].str()}") from None
    if metadata.error is not None:
        raise Unreachable(f"topic {topic}: {metadata.error.str()}")
    return len(metadata.partitions)


def watermarks(consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    """First offset kept and the next one to be written. Raises Unreachable."""
    until = time.monotonic() + SETTLING_S
    while True:
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() in SETTLING and time.monotonic() < until:
                time.sleep(ASK_AGAIN_S)
                with contextlib.suppress(KafkaException):  # the client remembers what it was told; this asks the broker
                    consumer.list_topics(topic, timeout=TIMEOUT_S)
                continue
            raise Unreachable(f"{topic}[{partition}]: {error.args[0].str()}") from None
        return low, high


def ends_of(admin: AdminClient, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """The next offset to be written of each of the partitions, in one request. Raises Unreachable."""
    wanted = {TopicPartition(topic, number): OffsetSpec.latest() for number in partitions}
    if not wanted:
        return {}
    try:
        found = admin.list_offsets(wanted, request_timeout=TIMEOUT_S)
        return {at.partition: future.result().offset for at, future in found.items()}
    except KafkaException as error:
        raise Unreachable(f"ends of {topic}: {error.args[0].str()}") from None


def write_durably(producer: Producer, topic: str, values: Iterable[bytes], timeout_s: float) -> None:
    """Write records to a topic's first partition and wait for that. Raises Unreachable; then some may be there."""
    failures: list[str] = []

    def note(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(error.str())

    try:
        for value in values:
            producer.produce(topic, value, partition=0, on_delivery=note)
        left = producer.flush(timeout_s)
    except (KafkaException, BufferError) as error:
        raise Unreachable(f"{topic}: {error}") from None
    if left or failures:
        raise Unreachable(f"{topic} did not take every record: {failures[0] if failures else 'no answer'}")


def read_range(config: dict[str, Any], topic: str, partition: int, start: int, end: int) -> Iterator[Message]:
    """The records of [start, end) that still exist, in order, then stop. Raises Unreachable."""
    if start >= end:
        return
    settings = {"auto.offset.reset": "earliest", "enable.partition.eof": True, "fetch.wait.max.ms": END_WAIT_MS}
    consumer = Consumer(config | settings)
    try:
        consumer.assign([TopicPartition(topic, partition, start if start >= 0 else OFFSET_BEGINNING)])
        while True:
            message = consumer.poll(TIMEOUT_S)
            if message is None:
                raise Unreachable(f"{topic}[{partition}]: no answer in {TIMEOUT_S} s")
            if (error := message.error()) is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    return
                raise Unreachable(f"{topic}[{partition}]: {error.str()}")
            if message.offset() >= end:
                return
            yield message
            if message.offset() == end - 1:
                return
    finally:
        consumer.close()


def read_tail(config: dict[str, Any], topic: str, partition: int, count: int = 1) -> list[Message]:
    """The last `count` records of a partition (fewer when there are fewer), in order. Raises Unreachable."""
    consumer = Consumer(config)
    try:
        low, high = watermarks(consumer, topic, partition)
    finally:
        consumer.close()
    return list(read_range(config, topic, partition, max(low, high - count), high))
