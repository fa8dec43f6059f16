"""Alerts of the log's sequencer on the real broker, with its own login."""

import pytest
from confluent_kafka import Consumer

from schemas.config import find_settings
from schemas.errors import Unreachable
from schemas.events import Detection, Origin
from schemas.runtime import Home
from schemas.topics import DETECTIONS
from schemas.wire import framing
from schemas.wire.kafka import read_range, watermarks
from sinks.transparency import alerts
from sinks.transparency.alerts import AlertWriter
from tests.support.homes import write_settings
from tests.support.kafka import Kafka


def make() -> Detection:
    origin = Origin("log", 0, 1)
    return Detection("alert-test", 1, "record-integrity", "1", "critical", "altered", "", "", "", "s-1", origin, 0)


def test_alerts_are_durable(home: Home, kafka: Kafka) -> None:
    config = {**kafka.client_config("sink-clickhouse"), "group.id": "sink-clickhouse-alerts"}
    consumer = Consumer(config)
    low = watermarks(consumer, DETECTIONS, 0)[1]
    AlertWriter(find_settings(home), home, "sink-transparency").write([make()])
    high = watermarks(consumer, DETECTIONS, 0)[1]
    consumer.close()
    found = [framing.decode(message.value() or b"") for message in read_range(config, DETECTIONS, 0, low, high)]
    assert make() in found


def test_without_a_broker_it_says_so(bare_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    write_settings(bare_home, kafka={"bootstrap": "127.0.0.1:1"})
    monkeypatch.setattr(alerts, "ANSWER_TIMEOUT_S", 0.3)
    with pytest.raises(Unreachable):
        AlertWriter(find_settings(bare_home), bare_home, "sink-transparency").write([make()])
