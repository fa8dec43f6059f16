"""What a process of Custody recorded of its own doings, as the masking processor would open it."""

from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer

from schemas import topics
from schemas.config import find_settings
from schemas.events import Event, SealedBatch, SessionContext
from schemas.runtime import Home
from schemas.wire import framing, kafka
from schemas.wire.sealing import Unsealer, verify


def read_trail(home: Home, proxy_id: str, starts: dict[int, int]) -> list[tuple[SessionContext, Event]]:
    """(context, event) of what `proxy_id` sent from these offsets on, each batch's signature checked."""
    config = kafka.reader_config(find_settings(home), home, "mask")
    key = home.unseal_key()
    unsealer = Unsealer({key.public_key().id: key})
    found: list[tuple[SessionContext, Event]] = []
    for partition, start in starts.items():
        for value in _values(config, partition, start):
            sealed = framing.decode(value)
            assert isinstance(sealed, SealedBatch)
            if sealed.header.proxy_id != proxy_id:
                continue
            verify(sealed, home.verify_key(proxy_id))
            batch = framing.BUILDERS["EventBatch"](framing.decode_body("EventBatch", unsealer.unseal(sealed)))
            found += [(batch.sessions[item.session], item.event) for item in batch.events]
    return sorted(found, key=lambda pair: (pair[1].at, pair[1].seq))


def ends(home: Home) -> dict[int, int]:
    """Where each partition of the raw topic ends now."""
    consumer = Consumer(kafka.reader_config(find_settings(home), home, "mask"))
    try:
        count = kafka.partition_count(consumer, topics.RAW)
        return {number: kafka.watermarks(consumer, topics.RAW, number)[1] for number in range(count)}
    finally:
        consumer.close()


def _values(config: dict[str, Any], partition: int, start: int) -> Iterator[bytes]:
    consumer = Consumer(config)
    try:
        _, high = kafka.watermarks(consumer, topics.RAW, partition)
    finally:
        consumer.close()
    for message in kafka.read_range(config, topics.RAW, partition, start, high):
        yield message.value()
