"""The control topic: signed entries, the newest version of a key is the truth.

`ControlWriter` publishes, `ControlView` follows in a thread of its own and verifies every entry: the API's key is the
root of trust (public/api.pub); other writers have a `writer_key` entry, signed by the API, that says which kinds they
may write.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from schemas import topics
from schemas.config import Settings
from schemas.errors import ForgedError, RecordError, Unreachable
from schemas.events import Control, ControlKind
from schemas.runtime import Home, now_us
from schemas.wire import framing, kafka

DOMAIN: Final = b"custody.control.v1\x00"
ROOT_WRITER: Final = "api"
log = logging.getLogger(__name__)


def _signed_bytes(entry: Control) -> bytes:
    parts = (entry.kind, entry.id, str(entry.version), entry.payload, entry.writer)
    return DOMAIN + json.dumps(parts, ensure_ascii=False).encode()


def sign_entry(kind: ControlKind, id: str, payload: str, writer: str, key: Ed25519PrivateKey) -> Control:
    """A signed entry; an empty payload removes the key."""
    entry = Control(kind.value, id, now_us(), payload, writer)
    entry.signature = key.sign(_signed_bytes(entry))
    return entry


def verify_entry(entry: Control, root: Ed25519PublicKey, view: "ControlState") -> None:
    """Raises ForgedError unless the entry's writer may write it and did."""
    if entry.writer == ROOT_WRITER:
        key = root
    else:
        grant = view.get(ControlKind.WRITER_KEY, entry.writer)
        if grant is None or entry.kind not in grant.get("kinds", []):
            raise ForgedError(f"{entry.writer!r} may not write {entry.kind} entries")
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(grant["public"]))
    try:
        key.verify(entry.signature, _signed_bytes(entry))
    except InvalidSignature:
        raise ForgedError(f"control entry {entry.kind}/{entry.id} is not signed by {entry.writer!r}") from None


class ControlState:
    """The table that entries make. `apply` is the only way in."""

    def __init__(self, root: Ed25519PublicKey) -> None:
        self._root = root
        self._entries: dict[tuple[str, str], tuple[int, Any]] = {}

    def apply(self, entry: Control) -> bool:
        """Take an entry over. False when it is older than what is known. Raises ForgedError, RecordError."""
        verify_entry(entry, self._root, self)
        key = (entry.kind, entry.id)
        known = self._entries.get(key)
        # A rising version makes a replayed entry, signed as it is, worthless.
        if known is not None and entry.version <= known[0]:
            return False
        try:
            payload = json.loads(entry.payload) if entry.payload else None
        except (ValueError, RecursionError):
            raise RecordError(f"control entry {entry.kind}/{entry.id} is not JSON") from None
        self._entries[key] = (entry.version, payload)  # in place: there may be very many decisions
        return True

    def get(self, kind: ControlKind, id: str) -> dict[str, Any] | None:
        """The payload of a key, None when absent or removed."""
        entry = self._entries.get((kind.value, id))
        return entry[1] if entry else None

    def all(self, kind: ControlKind) -> dict[str, dict[str, Any]]:
        """Every present entry of a kind, by id."""
        entries = list(self._entries.items())  # at once: another thread may add to them
        return {id: payload for (kind_, id), (_, payload) in entries if kind_ == kind.value and payload}


class ControlWriter:
    """Publishes entries as one writer."""

    def __init__(self, settings: Settings, home: Home, writer: str = ROOT_WRITER) -> None:
        self._writer = writer
        self._key = home.signing_key(writer)
        config = kafka.producer_config(settings, home, writer) | {"message.timeout.ms": 10_000}
        self._producer = Producer(config)

    def put(self, kind: ControlKind, id: str, payload: dict[str, Any] | None) -> None:
        """Write an entry and wait until it is durable. Raises Unreachable."""
        text = "" if payload is None else json.dumps(payload, ensure_ascii=False, sort_keys=True)
        entry = sign_entry(kind, id, text, self._writer, self._key)
        failures: list[str] = []

        def delivered(error: Any, _message: Any) -> None:
            if error is not None:
                failures.append(error.str())

        key = f"{kind.value}/{id}".encode()
        self._producer.produce(topics.CONTROL, framing.encode(entry), key, partition=0, on_delivery=delivered)
        if self._producer.flush(15) or failures:
            raise Unreachable(f"control entry was not written: {failures[0] if failures else 'no answer'}")


class ControlView:
    """Follows the control topic. Thread-safe to read; `on_change` runs in the view's own thread."""

    POLL_S: Final = 0.2
    REGISTRY_WAIT_S: Final = 1.0

    def __init__(
        self,
        settings: Settings,
        home: Home,
        component: str,
        on_change: Callable[[ControlKind, str], None] | None = None,
    ) -> None:
        self._state = ControlState(home.verify_key(ROOT_WRITER))
        self._config = kafka.reader_config(settings, home, component) | {"auto.offset.reset": "earliest"}
        self._on_change = on_change
        self._position = 0
        self._moved = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._follow, name="control-view", daemon=True)

    def start(self, timeout_s: float = 30.0) -> None:
        """Follow from the beginning; returns when the present end was reached. Raises Unreachable."""
        self._thread.start()
        if not self.refresh(timeout_s):
            raise Unreachable("control topic was not read in time")

    def get(self, kind: ControlKind, id: str) -> dict[str, Any] | None:
        """The payload of a key, None when absent."""
        return self._state.get(kind, id)

    def all(self, kind: ControlKind) -> dict[str, dict[str, Any]]:
        """Every present entry of a kind, by id."""
        return self._state.all(kind)

    def refresh(self, timeout_s: float = 2.0) -> bool:
        """Wait until everything written before this call was read. False when that took too long."""
        deadline = time.monotonic() + timeout_s
        try:
            end = self._end(timeout_s)
        except Unreachable:
            return False
        with self._moved:
            return self._moved.wait_for(lambda: self._position >= end, max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Stop following."""
        self._is_closing = True
        if self._thread.is_alive():
            self._thread.join(5)

    def _end(self, timeout_s: float) -> int:
        probe = Consumer(self._config)
        try:
            return int(probe.get_watermark_offsets(TopicPartition(topics.CONTROL, 0), timeout=timeout_s)[1])
        except KafkaException as error:
            raise Unreachable(error.args[0].str()) from None
        finally:
            probe.close()

    def _follow(self) -> None:
        consumer = Consumer(self._config | {"enable.partition.eof": True})
        consumer.assign([TopicPartition(topics.CONTROL, 0, OFFSET_BEGINNING)])
        try:
            for value in self._messages(consumer):
                self._take(value)
        finally:
            consumer.close()

    def _messages(self, consumer: Consumer) -> Iterator[bytes]:
        while not self._is_closing:
            message = consumer.poll(self.POLL_S)
            if message is None:
                continue
            if message.error() is None:
                yield message.value() or b""
                self._advance(message.offset() + 1)
            elif message.error().code() == KafkaError._PARTITION_EOF:  # also says where compaction left the end
                self._advance(message.offset())

    def _advance(self, position: int) -> None:
        with self._moved:
            self._position = max(self._position, position)
            self._moved.notify_all()

    def _take(self, value: bytes) -> None:
        try:
            entry = self._decode(value)
            if not isinstance(entry, Control):
                raise RecordError("not a control entry")
            if self._state.apply(entry) and self._on_change is not None:
                self._on_change(ControlKind(entry.kind), entry.id)
        except (RecordError, ForgedError) as error:
            log.error("control entry refused: %s", error)

    def _decode(self, value: bytes) -> Any:
        """The record, as soon as a schema registry that has to be asked answers. Raises RecordError."""
        while True:
            try:
                return framing.decode(value)
            except Unreachable as error:
                if self._is_closing:
                    raise RecordError(str(error)) from None
                log.warning("control waits: %s", error)
                time.sleep(self.REGISTRY_WAIT_S)
