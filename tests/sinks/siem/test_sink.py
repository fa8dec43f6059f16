"""The SIEM sink as a process, from Kafka to a real rsyslog that comes and goes."""

import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.config import Settings
from schemas.config import Store as StoreSettings
from schemas.events import Detection, EventKind, Origin
from schemas.runtime import Home
from schemas.topics import DETECTIONS
from schemas.wire import framing
from sinks.clickhouse.client import StoreClient
from tests.sinks.batches import LOG_ID, START_US, Feed, make_batch, make_session
from tests.sinks.running import SinkProcess, connect_sink, run_sink
from tests.sinks.siem.receiver import Receiver
from tests.sinks.transparency.logs import append, entries, open_log, publish
from tests.support.kafka import Kafka
from tests.support.store import Store, run_store


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[Store]:
    with run_store(tmp_path / "store") as running:
        yield running


@pytest.fixture
def sink(home: Home, kafka: Kafka, own_store: Store, receiver: Receiver) -> Iterator[SinkProcess]:
    kafka.reset_topics()
    syslog = receiver.config(min_severity="medium").model_dump()
    connect_sink(home, kafka, own_store, siem={"syslog": syslog})
    with run_sink(home, "siem-syslog", "sink-siem") as running:
        yield running


class Senders:
    """Detections and closed sessions, numbered."""

    def __init__(self, kafka: Kafka) -> None:
        self.detect, self.mask = Feed(kafka.client_config("detect")), Feed(kafka.client_config("mask"))

    def send_detection(self, number: int, severity: str = "high") -> None:
        origin = Origin(LOG_ID, 0, number)
        item = Detection(
            f"d-{number}", START_US, "burst", "1", severity, "Many denied actions", "planner", "alice", "db", "s",
            origin, 0,
        )  # fmt: skip
        self.detect.send_bytes(DETECTIONS, number % 4, framing.encode(item))
        self.detect.flush()

    def close_session(self, number: int) -> None:
        record = make_batch(1, number, 3)
        record.sessions = [make_session(f"s-{number}")]
        for seq, item in enumerate(record.events, 1):
            item.event.seq = seq
        record.events[-1].event.kind = EventKind.SESSION_CLOSED
        self.mask.send([record])


def ids(receiver: Receiver) -> list[str]:
    return [message["data"].split('"')[1] for message in receiver.messages()]


def test_detections_and_summaries_arrive(kafka: Kafka, sink: SinkProcess, receiver: Receiver, own_store: Store) -> None:
    senders = Senders(kafka)
    senders.send_detection(0, "high")
    senders.send_detection(1, "low")
    senders.close_session(0)
    sink.wait(lambda: set(ids(receiver)) == {"d-0", "s-0"})
    summary = next(message for message in receiver.messages() if message["kind"] == "session")
    assert 'agent="planner"' in summary["data"] and 'verdict.allow="3"' in summary["data"]
    sink.wait(lambda: sink.detail().get("confirmed") == 2)
    client = StoreClient(Settings(store=StoreSettings(url=own_store.url)), own_store.home, "writer")
    deliveries = "SELECT item, kind, status, target FROM custody.deliveries ORDER BY item"
    target = f"127.0.0.1:{receiver.port}"
    assert client.query(deliveries) == [
        ("d-0", "detection", "delivered", target),
        ("s-0", "session", "delivered", target),
    ]
    progress = "SELECT sink, partition, max(offset) FROM custody.progress GROUP BY 1, 2 ORDER BY 1, 2"
    wanted = [("siem-syslog", 1, 0), ("siem-syslog.detections", 0, 0), ("siem-syslog.detections", 1, 0)]
    sink.wait(lambda: client.query(progress) == wanted)
    client.close()
    sink.stop()
    sink.start()  # goes on after what was confirmed
    senders.send_detection(2)
    sink.wait(lambda: "d-2" in ids(receiver))
    assert sorted(ids(receiver)) == ["d-0", "d-2", "s-0"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_receiver_that_restarts_loses_nothing(
    kafka: Kafka, sink: SinkProcess, receiver: Receiver, how: signal.Signals
) -> None:
    senders = Senders(kafka)
    for number in range(60):
        senders.send_detection(number)
        senders.close_session(number)
        if number % 20 == 10:
            receiver.stop(how)
        if number % 20 == 18:
            receiver.start()
        time.sleep(0.02)
    wanted = {f"{kind}-{number}" for kind in "ds" for number in range(60)}
    sink.wait(lambda: set(ids(receiver)) == wanted)


def test_a_sink_killed_at_random_loses_nothing(kafka: Kafka, sink: SinkProcess, receiver: Receiver) -> None:
    senders = Senders(kafka)
    for number in range(45):
        senders.send_detection(number)
        senders.close_session(number)
        if number % 15 == 9:
            sink.wait(lambda: sink.detail())
            sink.stop(signal.SIGKILL)
            sink.start()
    wanted = {f"{kind}-{number}" for kind in "ds" for number in range(45)}
    sink.wait(lambda: set(ids(receiver)) == wanted)
    sink.wait(lambda: sink.detail().get("unconfirmed") == 0)
    assert sink.stop() == 0
    # What was confirmed is not sent again.
    count = len(ids(receiver))
    sink.start()
    senders.send_detection(100)
    sink.wait(lambda: "d-100" in ids(receiver))
    assert len(ids(receiver)) == count + 1


def head_sizes(receiver: Receiver) -> list[int]:
    texts = [json.dumps(message) for message in receiver.messages()]
    return [int(size) for text in texts for size in re.findall(r"transparency log [^ ]+: (\d+) leaves", text)]


def test_heads_of_the_log_arrive_and_come_once(home: Home, own_store: Store, receiver: Receiver, kafka: Kafka) -> None:
    kafka.reset_topics()
    syslog = receiver.config(min_severity="medium").model_dump()
    connect_sink(home, kafka, own_store, siem={"syslog": syslog, "checkpoint_interval_s": 0.1})
    log = open_log(home.root / "transparency")
    for size in (3, 9):
        append(log, entries(log.size, size))
        publish(log)
        with run_sink(home, "siem-syslog", "sink-siem") as running:
            running.wait(lambda size=size: size in head_sizes(receiver))
            running.wait(lambda running=running: running.detail().get("unconfirmed") == 0)
            running.stop()
    log.close()
    assert head_sizes(receiver).count(3) == 1
