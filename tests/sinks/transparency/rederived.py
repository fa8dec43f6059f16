"""A second consumer: reads the sessions topic from its beginning with the generic Avro reader, and says what the leaves
must be. It shares with the sink the leaf's layout, and nothing else.
"""

import struct
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from schemas.events import Event, EventBatch, StoredEvent
from schemas.topics import SESSIONS
from schemas.wire import framing
from sinks.transparency.leaf import EVENT_KINDS

Key = tuple[str, int, int, int]
"""log_id, partition, offset, position; -1 for the batch's own leaf."""


def text(value: str) -> bytes:
    return struct.pack(">H", len(value.encode())) + value.encode()


def derive(batch: EventBatch) -> dict[Key, bytes]:
    assert batch.origin is not None
    origin = batch.origin
    where = text(origin.log_id) + struct.pack(">IQ", origin.partition, origin.offset)
    entries: dict[Key, bytes] = {
        (origin.log_id, origin.partition, origin.offset, -1): b"\x01\x02"
        + where
        + text(batch.proxy_id)
        + text(batch.proxy_epoch)
        + struct.pack(">qI", batch.batch_seq, len(batch.events))
    }
    for position, item in enumerate(batch.events):
        context, event = batch.sessions[item.session], item.event
        bare = StoredEvent(
            framing.current_fingerprint("EventBatch"), context, Event(**{**event.__dict__, "opening": b""})
        )
        committed = sha256(event.opening + framing.encode_body("StoredEvent", framing.to_avro(bare))).digest()
        numbers = struct.pack(">IqqB", position, event.seq, event.at, EVENT_KINDS.index(event.kind))
        entry = b"\x01\x01" + where + numbers + text(context.session_id) + text(context.retention_class) + committed
        entries[origin.log_id, origin.partition, origin.offset, position] = entry
    return entries


def rederive(config: Mapping[str, Any]) -> dict[Key, bytes]:
    """Every leaf of what is on the sessions topic now; of each origin the first occurrence."""
    consumer = Consumer(
        {**config, "group.id": "sink-transparency.rederive", "enable.auto.commit": False, "log_level": 0}
    )
    found: dict[Key, bytes] = {}
    try:
        for partition in consumer.list_topics(SESSIONS, timeout=30).topics[SESSIONS].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(SESSIONS, partition), timeout=30)
            consumer.assign([TopicPartition(SESSIONS, partition, low)])
            read = low
            while read < high:
                message = consumer.poll(10)
                assert message is not None and message.error() is None
                batch = framing.decode(message.value() or b"")
                assert isinstance(batch, EventBatch)
                for key, entry in derive(batch).items():
                    found.setdefault(key, entry)
                read = message.offset() + 1
    finally:
        consumer.close()
    return found
