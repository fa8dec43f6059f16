import time
from collections.abc import Callable, Iterator, Mapping

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import NewPartitions

from schemas.config import find_settings
from schemas.runtime import Home
from schemas.topics import DETECTIONS
from schemas.wire.kafka import reader_config, topic_id
from sinks.origins import Position
from sinks.records import Record, RecordReader
from tests.sinks.batches import Feed
from tests.support.kafka import Kafka

Open = Callable[[Mapping[int, Position]], RecordReader]


@pytest.fixture
def feed(kafka: Kafka) -> Feed:
    kafka.reset_topics()
    return Feed(kafka.client_config("detect"))


@pytest.fixture
def open_reader(home: Home) -> Iterator[Open]:
    readers: list[RecordReader] = []

    def open_(positions: Mapping[int, Position]) -> RecordReader:
        config = reader_config(find_settings(home), home, "sink-siem")
        readers.append(RecordReader(config, DETECTIONS, positions, growth_interval_s=0.2))
        return readers[-1]

    yield open_
    for reader in readers:
        reader.close()


def send(feed: Feed, partition: int, *records: str) -> None:
    for record in records:
        feed.send_bytes(DETECTIONS, partition, record.encode())
    feed.flush()


def take(reader: RecordReader, count: int) -> list[Record]:
    records: list[Record] = []
    deadline = time.monotonic() + 30
    while len(records) < count:
        assert time.monotonic() < deadline
        records += reader.poll(100, 0.1)
    return records


def test_from_progress_on_and_across_growth(kafka: Kafka, feed: Feed, open_reader: Open) -> None:
    send(feed, 0, "a", "b", "c")
    send(feed, 1, "d")
    log_id = topic_id(kafka.client_config("sink-siem"), DETECTIONS)
    reader = open_reader({0: Position(log_id, 1)})
    found = sorted(take(reader, 2), key=lambda record: record.partition)
    assert [(r.log_id, r.partition, r.offset, r.data) for r in found] == [(log_id, 0, 2, b"c"), (log_id, 1, 0, b"d")]
    assert reader.is_at_end()
    send(feed, 1, "e")
    assert not reader.is_at_end()
    assert take(reader, 1)[0].data == b"e"
    admin = kafka.admin()
    admin.create_partitions([NewPartitions(DETECTIONS, 6)])[DETECTIONS].result(30)
    time.sleep(0.3)
    send(Feed(kafka.client_config("detect")), 5, "f")
    assert take(reader, 1)[0].partition == 5


def test_what_was_removed_unread_is_an_alarm(kafka: Kafka, feed: Feed, open_reader: Open) -> None:
    send(feed, 0, "a", "b", "c", "d")
    admin = kafka.admin()
    for future in admin.delete_records([TopicPartition(DETECTIONS, 0, 3)]).values():
        future.result(30)
    log_id = topic_id(kafka.client_config("sink-siem"), DETECTIONS)
    reader = open_reader({0: Position(log_id, 0)})
    assert [record.data for record in take(reader, 1)] == [b"d"]
    assert "offsets 1 to 2" in reader.alarms[0]


def test_a_recreated_topic_is_read_from_its_beginning(feed: Feed, open_reader: Open) -> None:
    send(feed, 0, "a", "b")
    assert [record.data for record in take(open_reader({0: Position("an older topic", 7)}), 2)] == [b"a", b"b"]
