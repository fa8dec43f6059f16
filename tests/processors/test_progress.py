"""Saved states, and the state topic on a real broker."""

import pytest

from processors.progress import ProgressStore, pack_state, state_topic, unpack_state
from schemas.config import find_settings
from schemas.errors import RecordError
from schemas.events import Progress
from schemas.wire import framing
from schemas.wire.kafka import producer_config
from tests.processors.pipeline import Log


def test_states_are_packed() -> None:
    state = {"a": [1, "x", None], "ü": {}}
    assert unpack_state(pack_state(state)) == state
    assert unpack_state(b"") is None
    for data in (b"x", pack_state({})[:-3], b"\x28\xb5\x2f\xfd"):
        with pytest.raises(RecordError):
            unpack_state(data)


def test_the_newest_record_of_each_partition_counts(log: Log) -> None:
    from confluent_kafka import Producer

    settings = find_settings(log.home)
    store = ProgressStore(settings, log.home, "retain")
    store.ensure()
    store.ensure()
    assert store.load() == {}
    producer = Producer(producer_config(settings, log.home, "retain"))
    for partition, offset in ((0, 1), (1, 1), (0, 2)):
        record = Progress("retain", "log", partition, offset, 1)
        producer.produce(state_topic("retain"), framing.encode(record), str(partition).encode(), partition=0)
    producer.flush(10)
    assert {number: record.offset for number, record in store.load().items()} == {0: 2, 1: 1}
