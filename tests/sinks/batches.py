"""Masked batches as `mask` writes them, for tests of what reads them."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import Producer

from schemas.events import Event, EventBatch, EventKind, Hop, Masked, Origin, SessionContext, SessionEvent, Verdict
from schemas.topics import SESSIONS
from schemas.wire import framing

LOG_ID = "raw-log-1"
DAY_US = 86_400_000_000
START_US = 1_790_000_000_000_000
KINDS = (EventKind.ACTION_REQUESTED, EventKind.ACTION_DECIDED, EventKind.ACTION_COMPLETED)


def make_session(session_id: str = "s-1", **changes: Any) -> SessionContext:
    values: dict[str, Any] = {
        "session_id": session_id,
        "principal": "alice@example.test",
        "agent": "planner",
        "delegation": [Hop("planner", "alice@example.test")],
        "run_id": "run-7",
        "resource": "demo-postgres",
        "protocol": "postgres",
        "source_ip": "127.0.0.1",
        "source_port": 50123,
        "client": "psycopg",
        "tls": "TLSv1.3",
        "upstream": "127.0.0.1:15433",
        "opened_at": START_US,
        "credential_id": "c-1",
        "attributes": {"database": "app"},
    }
    return SessionContext(**{**values, **changes})


def make_event(seq: int, at: int = START_US, **changes: Any) -> Event:
    values: dict[str, Any] = {
        "seq": seq,
        "at": at,
        "kind": KINDS[seq % 3],
        "action_id": f"a-{seq // 3}",
        "statement": "SELECT name FROM customers WHERE region = $1 AND card = '‹card:ab12›'",
        "fingerprint": "5b2f",
        "parameters": ["EU", None],
        "operation": "read",
        "objects": ["read:customers"],
        "verdict": Verdict.ALLOW,
        "status": "00000",
        "rows": 10,
        "bytes": 4096,
        "duration_us": 1234,
        "attributes": {"portal": ""},
        "payload": b'{"columns":["name"],"rows":[["Ann"]]}' * (1 + seq % 3),
        "payload_type": "rows",
        "payload_bytes": 200,
        "payload_digest": hashlib.sha256(str(seq).encode()).digest(),
        "masked": [Masked("card", 1, "ab12", "statement")] if seq % 2 else [],
        "links": {"traceparent": "00-1"},
        "opening": hashlib.sha256(f"opening {seq}".encode()).digest()[:16],
    }
    return Event(**{**values, **changes})


def make_batch(
    partition: int, offset: int, events: int = 5, *, log_id: str = LOG_ID, at: int = START_US, day_step: int = 0,
    rule_version: str = "r1", retention_class: str = "standard",
) -> EventBatch:  # fmt: skip
    """A batch of one session a partition: seq goes on from batch to batch of equal size, `day_step` µs an event."""
    first = offset * events + 1
    return EventBatch(
        "proxy-1", "epoch-1", offset, Origin(log_id, partition, offset), rule_version,
        [make_session(f"s-{partition}", retention_class=retention_class)],
        [SessionEvent(0, make_event(first + i, at + i * day_step)) for i in range(events)],
    )  # fmt: skip


def make_gap(partition: int, offset: int, reason: str = "undecodable", log_id: str = LOG_ID) -> EventBatch:
    """What mask emits for a dead-lettered record: one audit.gap."""
    gap = Event(1, START_US, EventKind.AUDIT_GAP, attributes={"reason": reason}, opening=b"\x07" * 16)
    session = make_session(f"gap-{partition}-{offset}", agent="", principal="")
    return EventBatch("", "", 0, Origin(log_id, partition, offset), "r1", [session], [SessionEvent(0, gap)])


class Feed:
    """Writes to topics as one component, to the partition that is said."""

    def __init__(self, client_config: Mapping[str, Any]) -> None:
        self._producer = Producer({**client_config, "enable.idempotence": True, "linger.ms": 5, "log_level": 0})

    def send(self, batches: Sequence[EventBatch]) -> None:
        for batch in batches:
            assert batch.origin is not None
            self.send_bytes(SESSIONS, batch.origin.partition, framing.encode(batch))
        self.flush()

    def send_bytes(self, topic: str, partition: int, data: bytes) -> None:
        while True:
            try:
                self._producer.produce(topic, data, partition=partition)
                return
            except BufferError:
                self._producer.poll(0.1)

    def flush(self) -> None:
        deadline = time.monotonic() + 30
        while self._producer.flush(1):
            assert time.monotonic() < deadline, "records could not be written"
