"""Group commit: events become durable batches on the raw topic, one batch in flight per partition.

While a batch is in flight for a partition, later events gather into the next; an idle partition sends at once. There is no
linger to tune. Each appended event gets a *ticket*, rising per partition; everything up to `durable` has been acknowledged by
Kafka, or, for those who accept the spool, `kept` says what is at least on the local spool.

Everything here runs on the event loop's thread, except librdkafka's callbacks, which only hand over.
"""

import asyncio
import io
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import fastavro
from confluent_kafka import KafkaException, Producer

from schemas import topics
from schemas.errors import AuditUnavailable
from schemas.events import Event, SessionContext
from schemas.runtime import now_us
from schemas.wire import framing
from schemas.wire.sealing import Sealer

log = logging.getLogger(__name__)


class Spool(Protocol):
    """Where sealed batches go while the broker is away."""

    def append(self, partition: int, record: bytes) -> None:
        """Keep a record durably (fsync). Raises AuditUnavailable when full or failing."""

    def take(self) -> tuple[int, bytes] | None:
        """The oldest record kept, left in place; None when empty."""

    def drop(self) -> None:
        """Forget the oldest record: it is on Kafka now."""


@dataclass(slots=True)
class _Pending:
    """The next batch of a partition, being filled."""

    contexts: dict[str, int] = field(default_factory=dict)
    sessions: list[bytes] = field(default_factory=list)
    events: list[bytes] = field(default_factory=list)
    size: int = 0


@dataclass(slots=True)
class _Flight:
    """A batch handed to Kafka and not yet acknowledged."""

    record: bytes
    last_ticket: int
    since: float
    is_spooled: bool = False


class PartitionState:
    """Tickets and batches of one partition."""

    __slots__ = ("appended", "durable", "flight", "kept", "next_seq", "pending", "pending_bytes", "waiting", "watchers")

    def __init__(self) -> None:
        self.pending: deque[_Pending] = deque()
        self.pending_bytes = 0
        self.flight: _Flight | None = None
        self.next_seq = 0
        self.appended = 0
        self.durable = 0
        self.kept = 0
        self.watchers: set[Callable[[], None]] = set()
        self.waiting: list[tuple[int, bool, asyncio.Future[None]]] = []
