"""Detections, retention and EXPIRE orders through the running sink, killed on the way."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.config import Settings, find_settings
from schemas.config import Store as StoreSettings
from schemas.events import ControlKind, Detection, Origin, Progress, RetentionAction
from schemas.runtime import Home, now_us
from schemas.topics import DETECTIONS, RETENTION
from schemas.wire import framing
from schemas.wire.control import ControlWriter
from schemas.wire.kafka import read_range, topic_id, watermarks
from sinks.clickhouse.client import StoreClient
from sinks.clickhouse.progress import WITNESSED, ProgressLedger
from sinks.clickhouse.sink import ClickHouseSink
from sinks.origins import Position
from sinks.reader import Batch
from tests.sinks.batches import DAY_US, LOG_ID, START_US, Feed, make_batch
from tests.sinks.clickhouse.stored import expected, stored
from tests.sinks.running import SinkProcess, connect_sink, run_sink
from tests.support.kafka import Kafka
from tests.support.store import Store, run_store

DAY = "2026-09-21"


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[Store]:
    with run_store(tmp_path / "store") as running:
        yield running


@pytest.fixture
def client(own_store: Store) -> Iterator[StoreClient]:
    client = StoreClient(Settings(store=StoreSettings(url=own_store.url)), own_store.home, "writer")
    yield client
    client.close()


@pytest.fixture
def sink(home: Home, kafka: Kafka, own_store: Store) -> Iterator[SinkProcess]:
    kafka.reset_topics()
    classes = {"standard": {"max_age_days": 1}, "kept": {"max_age_days": 9000, "min_age_days": 9000}}
    connect_sink(home, kafka, own_store, retention={"classes": classes, "require_log": False})
    with run_sink(home, "clickhouse", "sink-clickhouse") as running:
        yield running


def make_detection(number: int) -> Detection:
    return Detection(
        f"d-{number}", START_US, "burst", "1", "high", "Many denied actions", "planner", "alice", "db", "s-1",
        Origin(LOG_ID, 0, number), 2, ["s-1:4"], {"count": "12"},
    )  # fmt: skip


def order(day: str = DAY, action: str = "expire", retention_class: str = "standard") -> RetentionAction:
    name = f"{action}/{retention_class}/{day}"
    return RetentionAction(name, action, retention_class, day, START_US + DAY_US, "older than 1 day", {"max_age": "1"})


def answers(kafka: Kafka) -> list[RetentionAction]:
    from confluent_kafka import Consumer

    config = {**kafka.client_config("retain"), "group.id": "retain-test"}
    consumer = Consumer(config)
    end = watermarks(consumer, RETENTION, 0)[1]
    consumer.close()
    found = [framing.decode(message.value()) for message in read_range(config, RETENTION, 0, 0, end)]
    return [item for item in found if isinstance(item, RetentionAction) and item.action not in ("expire", "erase")]


def test_inserts_are_filled_while_a_backlog_is_stored(home: Home, kafka: Kafka, own_store: Store) -> None:
    connect_sink(home, kafka, own_store, retention={"require_log": False})
    sink = ClickHouseSink(find_settings(home), home)
    enough = []
    for offset, at in enumerate((now_us(), START_US, now_us() - 1_000_000)):
        record = make_batch(0, offset, at=at, log_id="backlog")
        data = framing.encode(record)
        sink.write([Batch("backlog", 0, offset, offset, len(data), sink.decode(data, None))])
        enough.append(sink.enough_events / sink.max_events)
    sink.close()
    assert enough == [0.5, 1.0, 0.5]


def test_each_detection_once(kafka: Kafka, sink: SinkProcess, client: StoreClient) -> None:
    feed = Feed(kafka.client_config("detect"))
    send = lambda item, partition: feed.send_bytes(DETECTIONS, partition, framing.encode(item))  # noqa: E731
    for number in range(20):
        send(make_detection(number), number % 4)
    send(Progress("detect", "log", 0, 5, START_US), 0)
    feed.send_bytes(DETECTIONS, 1, b"garbage")
    feed.flush()
    ids = "SELECT detection_id FROM custody.detections ORDER BY toUInt32(substring(detection_id, 3))"
    sink.wait(lambda: len(client.query(ids)) >= 20)
    sink.stop(signal.SIGKILL)
    for number in range(10, 25):  # detect restarted and sends some again
        send(make_detection(number), number % 4)
    feed.flush()
    sink.start()
    sink.wait(lambda: len(client.query(ids)) >= 25)
    assert client.query(ids) == [(f"d-{number}",) for number in range(25)]
    row = "SELECT partition, severity, origin_offset, origin_position, evidence, attributes FROM custody.detections"
    assert client.query(f"{row} WHERE detection_id = 'd-7'") == [(3, "high", 7, 2, ["s-1:4"], {"count": "12"})]
    assert "detections.v1[1]" in sink.log and "alarm" in sink.log


def test_an_order_is_carried_out_and_answered(kafka: Kafka, sink: SinkProcess, client: StoreClient) -> None:
    mask, retain = Feed(kafka.client_config("mask")), Feed(kafka.client_config("retain"))
    mask.send([make_batch(0, offset) for offset in range(4)])
    mask.send([make_batch(0, 4, at=START_US + DAY_US), make_batch(1, 0, retention_class="kept")])
    orders = [order(), order(retention_class="kept"), order("2999-01-01"), order("2026-9-1"), order(action="erase")]
    for item in orders:
        retain.send_bytes(RETENTION, 0, framing.encode(item))
    retain.flush()
    sink.wait(lambda: len(answers(kafka)) >= 5)
    found = {answer.order_id: answer for answer in answers(kafka)}
    done = found[orders[0].order_id]
    assert (done.action, done.rows, done.evidence["rows.events"]) == ("done", 20, "20")
    assert [found[item.order_id].action for item in orders[1:]] == ["refused"] * 4
    assert "9000 days" in found[orders[1].order_id].reason
    assert stored(client, LOG_ID) == expected({0: [4], 1: [0]})
    sink.wait(lambda: client.query("SELECT count() FROM custody.retention_actions") == [(10,)])
    sink.stop(signal.SIGKILL)
    sink.start()
    mask.send([make_batch(0, 5, at=START_US + DAY_US)])
    sink.wait(lambda: stored(client, LOG_ID) == expected({0: [4, 5], 1: [0]}))
    assert len(answers(kafka)) == 5


def test_holds_of_control_are_kept_to_and_a_session_is_erased(
    kafka: Kafka, home: Home, sink: SinkProcess, client: StoreClient
) -> None:
    mask, retain = Feed(kafka.client_config("mask")), Feed(kafka.client_config("retain"))
    api = Feed(kafka.client_config("api"))
    control = ControlWriter(find_settings(home), home)
    hold = {
        "session": "s-1", "authority": "court", "reason": "case 7", "placed_by": "ann", "approved_by": "bob",
        "placed_at": 1, "opening": "ab" * 16,
    }  # fmt: skip
    control.put(ControlKind.LEGAL_HOLD, "h-1", hold)
    mask.send([make_batch(partition, 0) for partition in range(3)])
    retain.send_bytes(RETENTION, 0, framing.encode(order()))
    retain.flush()
    sink.wait(lambda: len(answers(kafka)) == 1)
    (done,) = answers(kafka)
    assert (done.action, done.rows, done.evidence["held.events"], done.evidence["holds"]) == ("done", 10, "5", "h-1")
    assert stored(client, LOG_ID) == expected({1: [0]})

    # Erasure waits for the hold to be released; the order comes from the API's login.
    facts = {"session_id": "s-1", "by": "ann", "approved_by": "bob"}
    for number in (1, 2):
        erase = RetentionAction(f"erase-x/{number}", "erase", "standard", "", START_US + DAY_US, "Art. 17", facts)
        api.send_bytes(RETENTION, 0, framing.encode(erase))
        api.flush()
        sink.wait(lambda number=number: len(answers(kafka)) == 1 + number)
        release = {"released_by": "ann", "release_approved_by": "bob", "release_reason": "over", "released_at": 2}
        control.put(ControlKind.LEGAL_HOLD, "h-1", hold | release)
    refused, erased = answers(kafka)[1:]
    assert refused.action == "refused" and "legal hold h-1 keeps 5 events" in refused.reason
    assert (erased.action, erased.rows) == ("done", 5) and stored(client, LOG_ID) == []


def test_an_order_waits_until_it_is_under_a_witnessed_checkpoint(
    home: Home, kafka: Kafka, own_store: Store, client: StoreClient
) -> None:
    kafka.reset_topics()
    connect_sink(home, kafka, own_store, retention={"classes": {"standard": {"max_age_days": 1}}})
    mask, retain = Feed(kafka.client_config("mask")), Feed(kafka.client_config("retain"))
    mask.send([make_batch(0, 0)])
    retain.send_bytes(RETENTION, 0, framing.encode(order()))
    retain.flush()
    log_id = topic_id(kafka.client_config("sink-clickhouse"), RETENTION)
    ledger = ProgressLedger(client, WITNESSED)
    with run_sink(home, "clickhouse", "sink-clickhouse") as sink:
        sink.wait(lambda: sink.detail().get("retention_waits_for_log"))
        ledger.write({0: Position("another topic", 7)})  # as of a topic that was made again
        time.sleep(1)
        assert answers(kafka) == [] and stored(client, LOG_ID) == expected({0: [0]})
        ledger.write({0: Position(log_id, 0)})
        sink.wait(lambda: [answer.action for answer in answers(kafka)] == ["done"])
        assert stored(client, LOG_ID) == expected({})


def test_an_order_waits_for_what_is_under_way(kafka: Kafka, sink: SinkProcess, client: StoreClient) -> None:
    """A partition that stopped with an alarm may still hold rows of that day: nothing is dropped."""
    mask, retain = Feed(kafka.client_config("mask")), Feed(kafka.client_config("retain"))
    mask.send([make_batch(0, 0), make_batch(1, 0), make_batch(1, 2)])
    sink.wait(lambda: sink.detail().get("alarms"))
    retain.send_bytes(RETENTION, 0, framing.encode(order()))
    retain.flush()
    sink.wait(lambda: sink.detail().get("retention_orders_open") == 1)
    time.sleep(1)
    assert answers(kafka) == [] and stored(client, LOG_ID) == expected({0: [0], 1: [0]})
