"""What the stage tests drive: a proxy that seals batches, worker processes, and a reader by the rule of every sink."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.embedded.process import StackError
from deploy.embedded.topics import apply_topics
from processors.gathering import items_of
from schemas import topics
from schemas.config import find_settings
from schemas.events import (
    ControlKind,
    DeadLetter,
    Event,
    EventBatch,
    EventKind,
    SealedBatch,
    SessionContext,
    SessionEvent,
)
from schemas.runtime import Home, now_us, read_run_state
from schemas.wire import framing, kafka
from schemas.wire.control import ControlWriter
from schemas.wire.sealing import Sealer
from tests.support.kafka import Kafka

ROOT = Path(__file__).resolve().parents[2]
CARD = "4111111111111111"


def wait_until(is_so: Callable[[], Any], timeout_s: float = 60.0, every_s: float = 0.05) -> Any:
    """What `is_so` gives once it is true; fails the test when that does not come."""
    deadline = time.monotonic() + timeout_s
    while True:
        if found := is_so():
            return found
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(every_s)


def make_context(session_id: str = "s1", **values: Any) -> SessionContext:
    facts = {"principal": "ann@example.com", "agent": "planner", "resource": "db", "protocol": "postgres"}
    return SessionContext(session_id, **{**facts, "opened_at": now_us(), **values})


def make_event(seq: int, kind: str = EventKind.ACTION_REQUESTED.value, **values: Any) -> Event:
    return Event(seq, now_us(), kind, **{"action_id": f"a{seq}", "opening": os.urandom(16), **values})


class Proxy:
    """Seals batches as a proxy does and puts them on the raw topic."""

    def __init__(self, home: Home, proxy_id: str = "proxy-a", *, is_registered: bool = True) -> None:
        self.home = home
        self.id = proxy_id
        self.key = Ed25519PrivateKey.generate()
        self.settings = find_settings(home)
        self.sent: dict[int, int] = {}
        self.sealed: dict[tuple[int, int], bytes] = {}
        self.restart()
        if is_registered:
            self.register()
        self.producer = Producer(kafka.producer_config(self.settings, home, "proxy"))

    def restart(self, key: Ed25519PrivateKey | None = None) -> None:
        """A new epoch."""
        self.sealer = Sealer(self.id, key or self.key, self.home.unseal_public())
        self.next_seq: dict[int, int] = {}
        self.seqs: dict[str, int] = {}

    def register(self) -> None:
        public = {"public": self.key.public_key().public_bytes_raw().hex()}
        ControlWriter(self.settings, self.home).put(ControlKind.PROXY_KEY, self.id, public)

    def seal(
        self, partition: int, events: list[Event], context: SessionContext | None = None, seq: int | None = None
    ) -> bytes:
        """One framed raw record, with the next batch_seq unless told."""
        number = self.next_seq.get(partition, 0) if seq is None else seq
        self.next_seq[partition] = max(number + 1, self.next_seq.get(partition, 0))
        batch = EventBatch(self.id, self.sealer.epoch, number, sessions=[context or make_context()])
        batch.events = [SessionEvent(0, event) for event in events]
        plain = framing.encode_body("EventBatch", framing.batch_fields(batch))
        return framing.encode(self.sealer.seal(plain, partition, number, now_us()))

    def put(self, partition: int, record: bytes) -> None:
        """Onto the raw topic, durably once `flush` returned."""
        self.producer.produce(topics.RAW, record, partition=partition)
        self.producer.poll(0)
        self.sent[partition] = self.sent.get(partition, 0) + 1

    def send(self, partition: int, *statements: str, session_id: str = "") -> None:
        """A batch with one event per statement, in a session of this epoch and partition."""
        name = session_id or f"{self.sealer.epoch[:8]}-{partition}"
        events = []
        for statement in statements:
            self.seqs[name] = self.seqs.get(name, 0) + 1
            events.append(make_event(self.seqs[name], statement=statement))
        self.put(partition, self.seal(partition, events, make_context(name)))

    def flush(self) -> None:
        assert self.producer.flush(30) == 0


@dataclass
class Output:
    """A topic's records, read from the beginning; `poll` brings what is new."""

    home: Home
    topic: str
    component: str = "api"
    records: list[tuple[int, int, Any]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        config = kafka.reader_config(find_settings(self.home), self.home, self.component)
        self._consumer = Consumer(config | {"auto.offset.reset": "earliest"})
        count = kafka.partition_count(self._consumer, self.topic)
        self._consumer.assign([TopicPartition(self.topic, number, OFFSET_BEGINNING) for number in range(count)])

    def poll(self, timeout_s: float = 0.2) -> list[tuple[int, int, Any]]:
        """(partition, offset, record) of everything so far."""
        while messages := self._consumer.consume(500, timeout_s):
            for message in messages:
                if message.error() is None:
                    self.raw.append(message.value())
                    where = message.partition(), message.offset()
                    self.records += [(*where, framing.decode(item)) for item in items_of(message.value())]
        return self.records

    def close(self) -> None:
        self._consumer.close()


def accepted(records: list[tuple[int, int, Any]]) -> dict[int, list[EventBatch]]:
    """The derived batches of each partition as a reader accepts them: the first occurrence of each next origin."""
    taken: dict[int, list[EventBatch]] = {}
    for partition, _, batch in records:
        assert batch.origin.partition == partition
        mine = taken.setdefault(partition, [])
        expected = mine[-1].origin.offset + 1 if mine else 0
        assert batch.origin.offset <= expected, f"hole before {batch.origin} (expected {expected})"
        if batch.origin.offset == expected:
            mine.append(batch)
    return taken


class Log:
    """A fresh set of topics, a home that logs in to them, and what runs on them."""

    def __init__(self, kafka_: Kafka, home: Home) -> None:
        self.kafka = kafka_
        self.home = home
        self.workers: list[subprocess.Popen[bytes]] = []
        self._outputs: list[Output] = []

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """A worker process, ready."""
        worker = self.launch(name)
        self.wait_ready(worker, name)
        return worker

    def launch(self, name: str) -> subprocess.Popen[bytes]:
        path = self.home.logs / f"worker-{name}.log"
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as output:
            worker = subprocess.Popen(
                [sys.executable, "-m", "processors.worker", name],
                cwd=ROOT,
                env={**os.environ, "CUSTODY_HOME": str(self.home.root)},
                stdout=output,
                stderr=output,
            )
        self.workers.append(worker)
        return worker

    def wait_ready(self, worker: subprocess.Popen[bytes], name: str) -> None:
        def is_ready() -> bool:
            assert worker.poll() is None, self.log_of(name)[-3000:]
            state = read_run_state(self.home, f"worker-{name}")
            return state is not None and state.pid == worker.pid and state.is_ready

        wait_until(is_ready)

    def log_of(self, name: str) -> str:
        return (self.home.logs / f"worker-{name}.log").read_text()

    def detail_of(self, name: str) -> dict[str, Any]:
        state = read_run_state(self.home, f"worker-{name}")
        return state.detail if state else {}

    def output(self, topic: str, component: str = "api") -> Output:
        found = Output(self.home, topic, component)
        self._outputs.append(found)
        return found

    def batches(self, count: int, output: Output | None = None) -> dict[int, list[EventBatch]]:
        """The accepted derived batches once there are `count` of them."""
        sessions = output or self.output(topics.SESSIONS)

        def enough() -> dict[int, list[EventBatch]] | None:
            taken = accepted(sessions.poll())
            return taken if sum(map(len, taken.values())) >= count else None

        return wait_until(enough)

    def dead_letters(self, count: int) -> list[DeadLetter]:
        letters = self.output(topics.DEADLETTER)
        wait_until(lambda: len(letters.poll()) >= count)
        return [record for _, _, record in letters.records]

    def close(self) -> None:
        for worker in self.workers:
            stop(worker)
        for output in self._outputs:
            output.close()


def stop(worker: subprocess.Popen[bytes]) -> int:
    """SIGTERM, then SIGKILL; its exit status."""
    if worker.poll() is None:
        worker.terminate()
        try:
            worker.wait(20)
        except subprocess.TimeoutExpired:
            worker.kill()
    return worker.wait()


def kill(worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGKILL)
    worker.wait()


def remake_topics(kafka_: Kafka, only: list[str] | None = None) -> None:
    """Topics (every one and every saved state, unless told) new and empty.

    A fresh client each: one remembers the old leaders.
    """
    mine = set(only or (topic.name for topic in topics.TOPICS))
    names = [name for name in kafka_.admin().list_topics(timeout=30).topics if name in mine or name.endswith("-state")]
    admin = kafka_.admin()
    for future in admin.delete_topics(names).values():
        future.result(30)
    wait_until(lambda: not set(names) & set(kafka_.admin().list_topics(timeout=30).topics))
    with contextlib.suppress(StackError):  # a client may go on asking for the leaders of the old topics
        apply_topics(kafka_.admin())
    apply_topics(kafka_.admin())


@contextlib.contextmanager
def open_log(kafka_: Kafka, home: Home) -> Iterator[Log]:
    """Every topic and every saved state empty."""
    remake_topics(kafka_)
    log = Log(kafka_, home)
    try:
        yield log
    finally:
        log.close()


def gap_reasons(batch: EventBatch) -> list[str]:
    return [item.event.attributes["reason"] for item in batch.events if item.event.kind == EventKind.AUDIT_GAP]


def sealed_of(record: bytes) -> SealedBatch:
    found = framing.decode(record)
    assert isinstance(found, SealedBatch)
    return found
