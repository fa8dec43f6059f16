"""How far each stage is behind, from records and rows as the stages write them."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic

from deploy.embedded.lag import Lag, measure_lag
from schemas.config import find_settings
from schemas.events import EventBatch, Origin, Progress
from schemas.runtime import Home
from schemas.topics import RAW, SESSIONS
from schemas.wire import framing
from tests.support.homes import connect_home
from tests.support.kafka import Kafka, run_kafka
from tests.support.store import Store, connect_store

LOG = "lag-test-log"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Not the shared one: lag counts whole topics."""
    with run_kafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running


def produce(kafka: Kafka, topic: str, partition: int, *values: bytes) -> None:
    producer = Producer(kafka.client_config() | {"acks": "all", "log_level": 0})
    for value in values:
        producer.produce(topic, value, b"key", partition=partition)
    assert producer.flush(20) == 0


def make_batch(partition: int, offset: int) -> bytes:
    return framing.encode(EventBatch("proxy-tcp", "epoch", offset, Origin(LOG, partition, offset)))


def test_each_stage_is_measured_by_its_own_output(bare_home: Home, broker: Kafka, store: Store) -> None:
    connect_home(bare_home, broker, store={"url": store.url})
    connect_store(bare_home, store)
    settings = find_settings(bare_home)
    assert set(measure_lag(settings, bare_home).values()) == {Lag(0)}

    produce(broker, RAW, 0, *[b"sealed"] * 5)
    produce(broker, RAW, 3, *[b"sealed"] * 2)
    assert measure_lag(settings, bare_home)["worker-mask"] == Lag(7)

    produce(broker, SESSIONS, 0, make_batch(0, 0), make_batch(0, 1), make_batch(0, 2))
    lags = measure_lag(settings, bare_home)
    assert lags["worker-mask"] == Lag(4)
    assert lags["worker-retain"] == Lag(3)
    assert lags["worker-detect"] == Lag(3)
    assert lags["sink-clickhouse"] == Lag(3)

    admin = broker.admin()
    admin.create_topics([NewTopic("custody-retain-state", 1, 1)])["custody-retain-state"].result(20)
    produce(
        broker,
        "custody-retain-state",
        0,
        framing.encode(Progress("retain", LOG, 0, 0, 1)),
        framing.encode(Progress("retain", LOG, 0, 1, 2)),
    )
    writer = store.client("writer")
    rows = [["clickhouse", LOG, 0, 1], ["clickhouse", "another log", 0, 99], ["siem-syslog", LOG, 0, 2]]
    writer.insert("progress", rows, column_names=["sink", "log_id", "partition", "offset"])
    lags = measure_lag(settings, bare_home)
    assert lags["worker-retain"] == Lag(1)
    assert lags["sink-clickhouse"] == Lag(1)
    assert lags["sink-siem"] == Lag(0)


def test_an_absent_store_is_an_unknown_lag(bare_home: Home, broker: Kafka) -> None:
    connect_home(bare_home, broker, store={"url": "http://127.0.0.1:1"})
    lags = measure_lag(find_settings(bare_home), bare_home)
    assert lags["worker-mask"].records is not None
    assert lags["sink-clickhouse"].records is None
    assert "store" in lags["sink-clickhouse"].problem
