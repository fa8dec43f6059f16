"""Following the masked log from a short time ago, on a real broker."""

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from schemas import topics
from schemas.config import find_settings
from schemas.runtime import Home, now_us
from schemas.wire import framing
from schemas.wire.kafka import producer_config
from sinks.approvals.follower import Follower
from tests.sinks.approvals.test_pending import asked, batch, decided
from tests.sinks.batches import make_event
from tests.support.kafka import Kafka


@pytest.fixture
def producer(home: Home, kafka: Kafka) -> Iterator[Producer]:
    """Writes what the masking processor never would: the topics are made anew afterwards."""
    yield Producer(producer_config(find_settings(home), home, "mask"))
    kafka.reset_topics()


def write(producer: Producer, *values: object, age_s: float = 0) -> None:
    at = int((time.time() - age_s) * 1000)
    for value in values:
        data = value if isinstance(value, bytes) else framing.encode(value)  # type: ignore[arg-type]
        producer.produce(topics.SESSIONS, data, partition=1, timestamp=at)
    assert producer.flush(30) == 0


def test_only_the_window_is_read_and_then_what_comes(home: Home, producer: Producer) -> None:
    expires = {"approval.expires_at": str(now_us() + 60_000_000)}

    def ask(id: str) -> object:
        event = asked(id, now_us())
        event.attributes |= expires
        return batch(event)

    write(producer, ask("old"), age_s=4000)
    write(producer, ask("new"), b"\xc3\x01garbage approval.requested", batch(make_event(1)))
    follower = Follower(find_settings(home), home, "api", 30)
    try:
        follower.start()
        follower.catch_up(30)
        mine = [held.approval_id for held in follower.pending.waiting(now_us())]
        assert "new" in mine and "old" not in mine
        write(producer, ask("next"), batch(decided("approved", "new")))
        found: list[str] = []
        deadline = time.monotonic() + 30
        while "next" not in found or follower.pending.ending("new") is None:
            assert time.monotonic() < deadline
            found += [held.approval_id for held in follower.poll(0.2)]
    finally:
        follower.close()
