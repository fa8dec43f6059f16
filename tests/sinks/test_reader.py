import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import NewPartitions

from schemas.config import find_settings
from schemas.runtime import Home
from schemas.topics import SESSIONS
from schemas.wire import framing
from schemas.wire.kafka import reader_config
from sinks import reader as reader_module
from sinks.origins import Begin, Position
from sinks.reader import Batch, SessionsReader
from tests.sinks.batches import LOG_ID, Feed, make_batch, make_gap
from tests.support.homes import connect_home
from tests.support.kafka import Kafka

Open = Callable[..., SessionsReader]


@pytest.fixture
def feed(kafka: Kafka) -> Feed:
    kafka.reset_topics()
    return Feed(kafka.client_config("mask"))


@pytest.fixture
def open_reader(home: Home) -> Iterator[Open]:
    readers: list[SessionsReader] = []

    def open_(positions: Mapping[int, Position] | None = None, **options: Any) -> SessionsReader:
        config = reader_config(find_settings(home), home, "sink-clickhouse")
        readers.append(SessionsReader(config, positions or {}, growth_interval_s=0.2, **options))
        readers[-1].start()
        return readers[-1]

    yield open_
    for reader in readers:
        reader.close()


def take(reader: SessionsReader, count: int) -> list[Batch]:
    batches: list[Batch] = []
    deadline = time.monotonic() + 30
    while len(batches) < count:
        assert time.monotonic() < deadline, f"{len(batches)} of {count}; {reader.alarms} {reader.waiting}"
        batches += reader.poll(100, 0.2)
    return batches


def wait_alarm(reader: SessionsReader, partition: int) -> str:
    deadline = time.monotonic() + 30
    while partition not in reader.alarms:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return reader.alarms[partition]


def origins(batches: list[Batch]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for batch in batches:
        found.setdefault(batch.partition, []).append(batch.offset)
    return found


def test_every_batch_once_in_order(feed: Feed, open_reader: Open) -> None:
    feed.send([make_batch(partition, offset) for offset in range(20) for partition in range(3)])
    reader = open_reader()
    batches = take(reader, 60)
    assert origins(batches) == {0: [*range(20)], 1: [*range(20)], 2: [*range(20)]}
    assert batches[0].decoded.columns.seqs == [1, 2, 3, 4, 5]
    feed.send([make_batch(1, 20), make_batch(3, 0)])
    assert origins(take(reader, 2)) == {1: [20], 3: [0]}
    assert not reader.poll(10, 0.1) and not reader.alarms


def test_repeats_are_skipped_and_the_first_occurrence_counts(feed: Feed, open_reader: Open) -> None:
    feed.send([make_batch(0, offset) for offset in range(6)])
    feed.send([make_batch(0, offset, rule_version="r2") for offset in range(3, 9)])
    batches = take(open_reader(), 9)
    assert [batch.offset for batch in batches] == [*range(9)]
    assert [batch.decoded.rule_version for batch in batches] == ["r1"] * 6 + ["r2"] * 3


def test_goes_on_after_progress(feed: Feed, open_reader: Open) -> None:
    feed.send([make_batch(0, offset, 1) for offset in range(400)])
    feed.send([make_batch(0, offset, 1, rule_version="r2") for offset in range(300, 500)])
    batches = take(open_reader({0: Position(LOG_ID, 349)}), 150)
    assert [batch.offset for batch in batches] == [*range(350, 500)]
    assert {batch.decoded.rule_version for batch in batches[:50]} == {"r1"}


def test_a_gap_stops_that_partition_with_an_alarm(feed: Feed, open_reader: Open) -> None:
    feed.send([make_batch(0, 0), make_batch(0, 1), make_batch(0, 3), make_batch(0, 2), make_batch(1, 0)])
    reader = open_reader()
    assert origins(take(reader, 3)) == {0: [0, 1], 1: [0]}
    assert "goes on at origin 3: origins 2 to 2 are missing" in wait_alarm(reader, 0)
    feed.send([make_batch(1, 1)])
    assert origins(take(reader, 1)) == {1: [1]}
    assert not reader.is_past({0: 5})


def test_another_log_stops_with_an_alarm(feed: Feed, open_reader: Open) -> None:
    feed.send([make_batch(0, offset, log_id="raw-log-2") for offset in range(5)])
    reader = open_reader({0: Position(LOG_ID, 2)})
    assert "raw-log-2" in wait_alarm(reader, 0)
    feed.send([make_batch(1, 0, log_id="raw-log-2")])  # no progress of its own, but the sink's log is known
    assert "raw-log-2" in wait_alarm(reader, 1)


def test_what_retention_removed_unread_is_a_gap(kafka: Kafka, feed: Feed, open_reader: Open) -> None:
    feed.send([make_batch(partition, offset) for offset in range(10) for partition in (0, 1, 2)])
    cuts = [TopicPartition(SESSIONS, 0, 5), TopicPartition(SESSIONS, 1, 5), TopicPartition(SESSIONS, 2, 5)]
    admin = kafka.admin()
    for future in admin.delete_records(cuts).values():
        future.result(30)
    reader = open_reader({0: Position(LOG_ID, 4), 1: Position(LOG_ID, 2)})
    assert "origins 3 to 4 are missing" in wait_alarm(reader, 1)
    wait_alarm(reader, 2)
    assert origins(take(reader, 5)) == {0: [5, 6, 7, 8, 9]}
    late = open_reader(begin=Begin.EARLIEST)
    assert origins(take(late, 15)) == {partition: [*range(5, 10)] for partition in (0, 1, 2)}


def test_new_partitions_are_picked_up(kafka: Kafka, feed: Feed, open_reader: Open) -> None:
    feed.send([make_batch(0, 0)])
    reader = open_reader()
    take(reader, 1)
    admin = kafka.admin()
    admin.create_partitions([NewPartitions(SESSIONS, 6)])[SESSIONS].result(30)
    time.sleep(0.3)
    Feed(kafka.client_config("mask")).send([make_batch(5, 0), make_batch(5, 1)])
    assert origins(take(reader, 2)) == {5: [0, 1]}


def test_a_recreated_sessions_topic_is_read_from_its_beginning(kafka: Kafka, feed: Feed, open_reader: Open) -> None:
    """mask, finding its output empty, derives everything again: known origins are repeats, the rest goes on."""
    feed.send([make_batch(0, offset) for offset in range(8)])
    take(open_reader(), 8)
    kafka.reset_topics()
    Feed(kafka.client_config("mask")).send([make_batch(0, offset) for offset in range(10)])
    assert origins(take(open_reader({0: Position(LOG_ID, 7)}), 2)) == {0: [8, 9]}


def test_unreadable_and_misplaced_records_stop_the_partition(feed: Feed, open_reader: Open) -> None:
    feed.send([make_batch(0, 0), make_gap(0, 1)])
    feed.send_bytes(SESSIONS, 0, b"garbage")
    feed.flush()
    feed.send_bytes(SESSIONS, 1, framing.encode(make_batch(2, 0)))
    feed.flush()
    reader = open_reader()
    assert origins(take(reader, 2)) == {0: [0, 1]}
    assert "framing" in wait_alarm(reader, 0)
    assert "raw partition 2" in wait_alarm(reader, 1)


def test_reading_ahead_is_bounded(feed: Feed, open_reader: Open) -> None:
    feed.send([make_batch(0, offset, 50) for offset in range(100)])
    reader = open_reader(max_pending_bytes=50_000)
    batches = reader.poll(10_000, 10)
    time.sleep(0.5)
    with reader._changed:
        sizes = [batch.size for batch in reader._pending]
    assert sum(sizes) <= 50_000 + 256 * max(sizes)  # one fetch beyond the limit at most
    batches += take(reader, 100 - len(batches))
    assert [batch.offset for batch in batches] == [*range(100)]


def test_is_past_counts_what_poll_gave(feed: Feed, open_reader: Open) -> None:
    feed.send([make_batch(0, 0), make_batch(0, 1), make_batch(0, 1)])
    reader = open_reader()
    assert not reader.is_past({0: 1})
    take(reader, 2)
    deadline = time.monotonic() + 10
    while not reader.is_past({0: 3, 1: 0}):  # the repeat at offset 2 is skipped
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not reader.is_past({0: 4})


def test_an_absent_broker_is_waited_for(own_kafka: Kafka, bare_home: Home) -> None:
    connect_home(bare_home, own_kafka)
    Feed(own_kafka.client_config("mask")).send([make_batch(0, 0)])
    own_kafka.broker.stop()
    reader = SessionsReader(reader_config(find_settings(bare_home), bare_home, "sink-clickhouse"), {})
    reader.start()
    try:
        deadline = time.monotonic() + 30
        while not reader.waiting:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        own_kafka.broker.start()
        assert origins(take(reader, 1)) == {0: [0]}
        assert not reader.waiting and not reader.alarms
    finally:
        reader.close()


def test_after_a_full_read_comes_a_rest_which_the_end_ends(
    feed: Feed, open_reader: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "FULL_EVENTS", 6)
    monkeypatch.setattr(reader_module, "FULL_REST_S", 3600.0)
    reader = open_reader()
    for offset, events in enumerate((5, 5, 6)):  # nothing rests after the first two
        feed.send([make_batch(0, offset, events)])
        assert origins(take(reader, 1)) == {0: [offset]}
    feed.send([make_batch(0, 3)])
    assert not reader.poll(10, 1.0)
    reader.close()
