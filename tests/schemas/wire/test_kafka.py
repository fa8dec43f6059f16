"""Kafka helpers against a real broker."""

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from schemas import topics
from schemas.config import find_settings
from schemas.errors import Unreachable
from schemas.runtime import Home
from schemas.wire import kafka


def test_what_is_written_is_read_by_range_and_by_tail(home: Home) -> None:
    settings = find_settings(home)
    producer = Producer(kafka.producer_config(settings, home, "mask"))
    config = kafka.reader_config(settings, home, "mask")
    consumer = Consumer(config)
    _, start = kafka.watermarks(consumer, topics.SESSIONS, 2)
    for number in range(10):
        producer.produce(topics.SESSIONS, b"record %d" % number, partition=2)
    assert producer.flush(20) == 0
    _, end = kafka.watermarks(consumer, topics.SESSIONS, 2)
    assert end == start + 10
    found = [message.value() for message in kafka.read_range(config, topics.SESSIONS, 2, start + 3, start + 6)]
    assert found == [b"record 3", b"record 4", b"record 5"]
    assert [message.value() for message in kafka.read_tail(config, topics.SESSIONS, 2, 2)] == [b"record 8", b"record 9"]
    assert list(kafka.read_range(config, topics.SESSIONS, 2, end, end)) == []
    assert kafka.partition_count(consumer, topics.SESSIONS) == topics.DEFAULT_PARTITIONS
    consumer.close()


def test_a_topic_has_an_id_of_its_own(home: Home) -> None:
    config = kafka.client_config(find_settings(home), home, "mask")
    ids = {kafka.topic_id(config, name) for name in (topics.RAW, topics.SESSIONS)}
    assert len(ids) == 2
    admin = AdminClient(config)
    assert {kafka.topic_id(admin, name) for name in (topics.RAW, topics.SESSIONS)} == ids


def test_ends_of_many_partitions_are_asked_at_once(home: Home) -> None:
    settings = find_settings(home)
    admin = AdminClient(kafka.client_config(settings, home, "mask"))
    consumer = Consumer(kafka.reader_config(settings, home, "mask"))
    numbers = [0, 1, 3]
    before = kafka.ends_of(admin, topics.SESSIONS, numbers)
    producer = Producer(kafka.producer_config(settings, home, "mask"))
    for _ in range(3):
        producer.produce(topics.SESSIONS, b"record", partition=3)
    assert producer.flush(20) == 0
    after = kafka.ends_of(admin, topics.SESSIONS, numbers)
    assert after[3] >= before[3] + 3
    assert all(after[n] <= kafka.watermarks(consumer, topics.SESSIONS, n)[1] for n in numbers)  # others may write
    assert kafka.ends_of(admin, topics.SESSIONS, []) == {}
    with pytest.raises(Unreachable, match=r"custody\.absent"):
        kafka.ends_of(admin, "custody.absent.v1", [0])
    consumer.close()


def test_an_absent_topic_is_unreachable(home: Home) -> None:
    settings = find_settings(home)
    with pytest.raises(Unreachable):
        kafka.topic_id(kafka.client_config(settings, home, "mask"), "custody.absent.v1")


@pytest.mark.parametrize("code", sorted(kafka.SETTLING))
def test_a_partition_without_a_leader_is_asked_again(home: Home, code: int) -> None:
    answers = iter([KafkaException(KafkaError(code)), (3, 5)])

    class Settling(Consumer):
        def get_watermark_offsets(self, *_arguments: object, **_named: object) -> tuple[int, int]:
            answer = next(answers)
            if isinstance(answer, KafkaException):
                raise answer
            return answer

    consumer = Settling(kafka.reader_config(find_settings(home), home, "mask"))
    assert kafka.watermarks(consumer, topics.SESSIONS, 2) == (3, 5)
    consumer.close()


def test_a_partition_that_stays_unknown_is_unreachable(home: Home) -> None:
    consumer = Consumer(kafka.reader_config(find_settings(home), home, "mask"))
    with pytest.raises(Unreachable, match=r"\[99\]: .*[Uu]nknown partition"):
        kafka.watermarks(consumer, topics.SESSIONS, 99)
    consumer.close()


def test_records_are_written_durably_or_it_is_said(home: Home) -> None:
    settings = find_settings(home)
    consumer = Consumer(kafka.reader_config(settings, home, "mask"))
    _, start = kafka.watermarks(consumer, topics.SESSIONS, 0)
    producer = Producer(kafka.producer_config(settings, home, "mask"))
    kafka.write_durably(producer, topics.SESSIONS, [b"one", b"two"], 20)
    assert kafka.watermarks(consumer, topics.SESSIONS, 0)[1] == start + 2
    with pytest.raises(Unreachable, match=f"^{topics.CONTROL} did not take every record: .*[Aa]uthoriz"):
        kafka.write_durably(producer, topics.CONTROL, [b"not mine to write"], 20)
    consumer.close()
