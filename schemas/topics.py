"""The one table of Kafka topics: name, key, partitions, retention, and who may write and read each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

COMPONENTS: Final = (
    "proxy",
    "mask",
    "facts",
    "detect",
    "retain",
    "sink-clickhouse",
    "sink-transparency",
    "sink-siem",
    "api",
    "keyholder",
    "notifier",
)
"""Every process logs in to Kafka as one of these."""

DAY_MS: Final = 86_400_000
SEGMENT_MS: Final = 3_600_000
"""Kafka lets whole segments go, each by its newest record: a topic kept for days begins one every hour."""
MAX_RECORD_BYTES: Final = 4 * 1024 * 1024
DEFAULT_PARTITIONS: Final = 4


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `key` says what its records are keyed by ("" : partition is chosen by the writer)."""

    name: str
    key: str
    partitions: int
    writers: frozenset[str]
    readers: frozenset[str]
    config: Mapping[str, str] = field(default_factory=dict)
    deleters: frozenset[str] = frozenset()


def keep_for(days: int) -> dict[str, str]:
    """The config by which no record outlives so many days: by then its segment was closed, aged, and deleted."""
    return {"retention.ms": str(days * DAY_MS - 2 * SEGMENT_MS), "segment.ms": str(SEGMENT_MS)}


def find_longest_ms(topic: Topic) -> int:
    """How long a record of a topic with a time limit may lie on Kafka's disk, in ms."""
    return int(topic.config["retention.ms"]) + 2 * int(topic.config["segment.ms"])


def _topic(
    name: str,
    key: str,
    writers: str,
    readers: str,
    *,
    partitions: int = DEFAULT_PARTITIONS,
    days: int = 0,
    **config: str,
) -> Topic:
    settings = (keep_for(days) if days else {}) | {key_.replace("_", "."): value for key_, value in config.items()}
    settings.setdefault("max.message.bytes", str(MAX_RECORD_BYTES))
    return Topic(
        name,
        key,
        partitions,
        frozenset(writers.split()),
        frozenset(readers.split()),
        settings,
        frozenset({"mask"}) if name == RAW else frozenset(),
    )


RAW: Final = "custody.sessions.raw.v1"
SESSIONS: Final = "custody.sessions.v1"
FACTS: Final = "custody.facts.v1"
DETECTIONS: Final = "custody.detections.v1"
RETENTION: Final = "custody.retention.v1"
CONTROL: Final = "custody.control.v1"
DEADLETTER: Final = "custody.deadletter.v1"

_FOREVER: Final = "-1"
KAFKA_DAYS: Final = 7
"""What is masked lies on Kafka no longer than this; less, where a retention class is shorter."""

TOPICS: Final = (
    # Trimmed by mask behind its own progress, never by time: an unmasked record must not go unread.
    _topic(RAW, "", "proxy api keyholder", "mask", retention_ms=_FOREVER, retention_bytes=_FOREVER),
    _topic(
        SESSIONS,
        "",
        "mask",
        "mask facts retain sink-clickhouse sink-transparency sink-siem api notifier",
        days=KAFKA_DAYS,
        compression_type="producer",
    ),
    _topic(FACTS, "agent", "facts", "facts detect", days=KAFKA_DAYS),
    _topic(
        DETECTIONS,
        "",
        "detect sink-transparency",
        "detect sink-clickhouse sink-siem api",
        days=30,
    ),
    _topic(
        RETENTION,
        "",
        "retain sink-clickhouse api",
        "retain sink-clickhouse sink-transparency sink-siem api",
        partitions=1,
        retention_ms=_FOREVER,
    ),
    _topic(
        CONTROL,
        "kind/id",
        "api detect",
        "proxy mask facts detect retain sink-clickhouse sink-transparency sink-siem api",
        partitions=1,
        cleanup_policy="compact",
        retention_ms=_FOREVER,
        min_compaction_lag_ms=str(DAY_MS),
    ),
    _topic(
        DEADLETTER,
        "",
        "mask facts detect retain sink-clickhouse sink-siem",
        "api mask",
        partitions=1,
        days=30,
    ),
)

BY_NAME: Final[Mapping[str, Topic]] = {topic.name: topic for topic in TOPICS}
