"""How far each stage is behind: read from what the stage itself wrote, as the stage does when it starts."""

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from confluent_kafka import Consumer, KafkaException, Message

from deploy.embedded.secrets import ADMIN
from schemas.config import Settings
from schemas.errors import CustodyError, Unreachable
from schemas.events import EventBatch, Origin, Progress
from schemas.runtime import Home
from schemas.topics import FACTS, RAW, SESSIONS
from schemas.wire import framing, kafka

STORE_TIMEOUT_S: Final = 3.0
READER: Final = "reader"

STATEFUL_STAGES: Final = (
    ("worker-detect", "facts", SESSIONS),
    ("worker-detect", "detect", FACTS),
    ("worker-retain", "retain", SESSIONS),
)
"""Process, component, the topic it reads. Its progress is in `custody-<component>-state`, at most seconds old."""

SINKS: Final = {"sink-clickhouse": "clickhouse", "sink-transparency": "transparency", "sink-siem": "siem-syslog"}
"""Process, and the name its progress rows carry."""

PROGRESS_SQL: Final = (
    "SELECT sink, log_id, partition, max(offset) AS stored FROM custody.progress"
    " GROUP BY sink, log_id, partition FORMAT JSONEachRow"
)


@dataclass(frozen=True)
class Lag:
    """`records` of the input not yet absorbed; None, with the problem, when that cannot be told."""

    records: int | None
    problem: str = ""


def measure_lag(settings: Settings, home: Home) -> dict[str, Lag]:
    """Lag by process name. Never raises for an unreachable server: the lag is unknown then."""
    try:
        config = kafka.reader_config(settings, home, ADMIN)
        consumer = Consumer(config)
    except (CustodyError, KafkaException) as error:
        return {"worker-mask": Lag(None, f"lag unknown: {error}")}
    try:
        heads = read_heads(config, consumer)
        lags = {"worker-mask": Lag(measure_mask(consumer, heads))}
        for process, component, topic in STATEFUL_STAGES:
            known = lags.get(process, Lag(0)).records or 0
            lags[process] = Lag(known + measure_stage(config, consumer, component, topic))
    except CustodyError as error:
        return {"worker-mask": Lag(None, f"lag unknown: {error}")}
    finally:
        consumer.close()
    return lags | measure_sinks(settings, home, heads)


def read_heads(config: dict[str, Any], consumer: Consumer) -> dict[int, Origin]:
    """The origin of the newest record of each sessions partition. Raises Unreachable."""
    heads: dict[int, Origin] = {}
    for partition in range(kafka.partition_count(consumer, SESSIONS)):
        for message in kafka.read_tail(config, SESSIONS, partition):
            record = framing.decode(message.value() or b"")
            if isinstance(record, EventBatch) and record.origin is not None:
                heads[partition] = record.origin
    return heads


def measure_mask(consumer: Consumer, heads: dict[int, Origin]) -> int:
    """Raw records that no sessions record names yet."""
    total = 0
    for partition in range(kafka.partition_count(consumer, RAW)):
        low, high = kafka.watermarks(consumer, RAW, partition)
        done = heads[partition].offset + 1 if partition in heads else low
        total += max(0, high - max(low, done))
    return total


def measure_stage(config: dict[str, Any], consumer: Consumer, component: str, topic: str) -> int:
    """Records of `topic` beyond the component's saved progress."""
    saved = {progress.partition: progress.offset for progress in read_progress(config, consumer, component)}
    total = 0
    for partition in range(kafka.partition_count(consumer, topic)):
        low, high = kafka.watermarks(consumer, topic, partition)
        total += max(0, high - max(low, saved.get(partition, -1) + 1))
    return total


def read_progress(config: dict[str, Any], consumer: Consumer, component: str) -> Iterator[Progress]:
    """The saved progress records of a component, oldest first; none before its first start."""
    topic = f"custody-{component}-state"
    if topic not in consumer.list_topics(timeout=kafka.TIMEOUT_S).topics:
        return
    low, high = kafka.watermarks(consumer, topic, 0)
    message: Message
    for message in kafka.read_range(config, topic, 0, low, high):
        if message.value():
            record = framing.decode(message.value())
            if isinstance(record, Progress):
                yield record


def measure_sinks(settings: Settings, home: Home, heads: dict[int, Origin]) -> dict[str, Lag]:
    """Origins in sessions that a sink has not stored yet, by the sink's own progress rows."""
    try:
        rows = query_store(settings, home, PROGRESS_SQL)
    except CustodyError as error:
        return {name: Lag(None, f"lag unknown: {error}") for name in SINKS}
    lags = {}
    for process, sink in SINKS.items():
        stored = {
            (str(row["log_id"]), int(row["partition"])): int(row["stored"]) for row in rows if row["sink"] == sink
        }
        behind = (head.offset - stored.get((head.log_id, partition), -1) for partition, head in heads.items())
        lags[process] = Lag(sum(max(0, records) for records in behind))
    return lags


def query_store(settings: Settings, home: Home, sql: str) -> list[dict[str, Any]]:
    """Rows of a JSONEachRow query as the reader. Raises Unreachable."""
    address = urlsplit(settings.store_url())
    is_tls = address.scheme == "https"
    make = http.client.HTTPSConnection if is_tls else http.client.HTTPConnection
    connection = make(address.hostname or "", address.port or (8443 if is_tls else 8123), timeout=STORE_TIMEOUT_S)
    headers = {"X-ClickHouse-User": READER, "X-ClickHouse-Key": home.read_secret(f"store/{READER}.password")}
    try:
        connection.request("POST", f"/?{urlencode({'database': 'custody'})}", sql.encode(), headers)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"store: {error}") from None
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise Unreachable(f"store: {response.status} {body[:200].decode(errors='replace')}")
    return [json.loads(line) for line in body.splitlines() if line]
