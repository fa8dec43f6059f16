"""A component's saved progress: the newest `Progress` record per input partition, in a compacted topic of its own.

`custody-<component>-state` has one partition; its key is the input partition. A snapshot is written only when every
output it covers is durable, and says where in the output it was taken, so each is whole by itself: an older one costs
a longer replay and nothing else. The state is zstd-compressed JSON.
"""

import json
from typing import Any, Final

import zstandard
from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.config import Settings
from schemas.errors import RecordError, Unreachable
from schemas.events import Progress
from schemas.runtime import Home
from schemas.topics import MAX_RECORD_BYTES
from schemas.wire import framing, kafka

MAX_STATE_BYTES: Final = 64 << 20
TOPIC_CONFIG: Final = {
    "cleanup.policy": "compact",
    "max.message.bytes": str(MAX_RECORD_BYTES),
    # Small segments and an eager cleaner: a start reads the whole topic.
    "segment.bytes": str(2 * MAX_RECORD_BYTES),
    "segment.ms": str(3_600_000),
    "min.cleanable.dirty.ratio": "0.1",
}


def state_topic(component: str) -> str:
    """Where a component keeps its progress."""
    return f"custody-{component}-state"


def pack_state(state: Any) -> bytes:
    """A stage's state as the bytes of a Progress record."""
    return zstandard.compress(json.dumps(state, separators=(",", ":"), ensure_ascii=False).encode(), 3)


def unpack_state(data: bytes) -> Any:
    """What `pack_state` was given; None for no bytes. Raises RecordError."""
    if not data:
        return None
    try:
        return json.loads(zstandard.ZstdDecompressor().decompress(data, max_output_size=MAX_STATE_BYTES))
    except (zstandard.ZstdError, ValueError, RecursionError) as error:
        raise RecordError(f"a saved state does not open: {type(error).__name__}") from None


class ProgressStore:
    """Makes and reads one component's state topic. Blocking: call it in a thread."""

    def __init__(self, settings: Settings, home: Home, component: str) -> None:
        self.topic = state_topic(component)
        self._component = component
        self._replication = settings.kafka.replication
        self._config = kafka.reader_config(settings, home, component)
        self._admin_config = kafka.client_config(settings, home, component)

    def ensure(self) -> None:
        """Make the topic when it is missing. Raises Unreachable."""
        new = NewTopic(self.topic, 1, self._replication, config=TOPIC_CONFIG)
        admin = AdminClient(self._admin_config)  # kept by name: its futures end with it
        try:
            admin.create_topics([new], request_timeout=kafka.TIMEOUT_S)[self.topic].result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise Unreachable(f"topic {self.topic}: {error.args[0].str()}") from None

    def load(self) -> dict[int, Progress]:
        """The newest record of each input partition. Raises Unreachable, RecordError."""
        probe = Consumer(self._config)
        try:
            low, high = kafka.watermarks(probe, self.topic, 0)
        finally:
            probe.close()
        newest: dict[int, Progress] = {}
        for message in kafka.read_range(self._config, self.topic, 0, low, high):
            record = framing.decode(message.value() or b"")
            if isinstance(record, Progress) and record.stage == self._component:
                newest[record.partition] = record
        return newest
