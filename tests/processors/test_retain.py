"""Retention orders against a real broker, as a process that is killed in between."""

import time

from confluent_kafka import Producer

from schemas import topics
from schemas.config import find_settings
from schemas.events import Event, EventBatch, Origin, RetentionAction, SessionEvent
from schemas.wire import framing
from schemas.wire.kafka import producer_config
from tests.processors.pipeline import Log, kill, make_context, wait_until
from tests.support.homes import write_settings

DAY_US = 86_400_000_000


def put_batch(log: Log, partition: int, offset: int, age_days: int, retention_class: str) -> None:
    at = int(time.time() * 1_000_000) - age_days * DAY_US
    batch = EventBatch("p", "e", offset, Origin("log", partition, offset))
    batch.sessions = [make_context(retention_class=retention_class)]
    batch.events = [SessionEvent(0, Event(1, at, "action.requested"))]
    producer = Producer(producer_config(find_settings(log.home), log.home, "mask"))
    producer.produce(topics.SESSIONS, framing.encode(batch), partition=partition)
    assert producer.flush(10) == 0


def test_each_due_day_is_ordered_once(log: Log) -> None:
    write_settings(log.home, kafka={"bootstrap": log.kafka.bootstrap}, retention={"interval_s": 0.2})
    for partition, offset, age, name in (
        (0, 0, 40, "short"),
        (1, 0, 40, "short"),
        (0, 1, 40, "standard"),
        (0, 2, 400, "standard"),
        (2, 0, 5, "short"),
    ):
        put_batch(log, partition, offset, age, name)
    actions = log.output(topics.RETENTION)
    worker = log.start("retain")
    wait_until(lambda: len(actions.poll()) >= 2)
    kill(worker)
    worker = log.start("retain")
    put_batch(log, 1, 1, 50, "short")
    wait_until(lambda: len(actions.poll()) >= 3)
    kill(worker)
    log.start("retain")
    put_batch(log, 3, 0, 40, "short")  # of a day that was ordered away already
    wait_until(lambda: len(actions.poll()) >= 4)
    found = [record for _, _, record in actions.poll(1.0)]
    assert all(isinstance(record, RetentionAction) and record.action == "expire" for record in found)
    assert [record.retention_class for record in found] == ["short", "standard", "short", "short"]
    assert len({record.order_id for record in found}) == 4
    assert found[3].order_id == found[0].order_id + "/2"
