"""What the leaves of the log say, as bytes. Pure.

A leaf commits to a record without showing it: C = SHA-256(opening ‖ canonical), 16 random bytes before the record's
canonical form. Who deletes record and opening leaves a leaf that can no longer be guessed, and a tree that still
stands. All numbers are big-endian; a text is its length in two bytes and its UTF-8 bytes.

    every leaf   version u8 = 1, kind u8
    EVENT        log_id text, partition u32, offset u64, position u32, seq i64, at i64 (µs), event kind u8,
                 session_id text, retention class text, C 32 bytes
    BATCH        log_id text, partition u32, offset u64, proxy_id text, proxy epoch text, batch_seq i64, events u32
    RETENTION    log_id text, partition u32, offset u64, schema fingerprint 8 bytes, RetentionAction as Avro
    HOLD         log_id text, partition u32, offset u64, hold id text, state u8 (1 placed, 0 released),
                 C = SHA-256(opening ‖ payload) 32 bytes
    KEY          the log's next verifier key, as text

A leaf is a function of the Kafka record alone, so anybody who reads the same topic derives the same leaves; their
order in the log is the sequencer's.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Any, Final, NamedTuple

from schemas.errors import ProofError

VERSION: Final = 1
OPENING_BYTES: Final = 16
EVENT_NUMBERS: Final = struct.Struct(">IqqB")
_ORIGIN: Final = struct.Struct(">IQ")
_EVENT_HEAD: Final = struct.Struct(">IQIqqB")
_BATCH_NUMBERS: Final = struct.Struct(">qI")
EVENT_KINDS: Final = (
    "unknown", "proxy.started", "proxy.stopped", "session.opened", "action.requested", "action.decided",
    "action.completed", "data.sent", "data.received", "file.accessed", "approval.requested", "approval.decided",
    "audit.gap", "session.closed", "key.rotated", "policy.changed", "quarantine.changed",
    "legal_hold.changed",
)  # fmt: skip
"""The event kind's number in an EVENT leaf is its place here. New kinds are appended; 255 stands for a later one."""
OTHER_KIND: Final = 255


class LeafKind(IntEnum):
    """What a leaf is about."""

    EVENT = 1
    BATCH = 2
    RETENTION = 3
    HOLD = 4
    KEY = 5


class Coordinates(NamedTuple):
    """Where a record lies on Kafka. `log_id` is the topic's id; of events, the raw topic's."""

    log_id: str
    partition: int
    offset: int


class EventLeaf(NamedTuple):
    """One event of a batch. `at` is µs since the epoch, `commitment` 32 bytes."""

    origin: Coordinates
    position: int
    seq: int
    at: int
    event_kind: str
    session_id: str
    retention_class: str
    commitment: bytes


@dataclass(frozen=True, slots=True)
class BatchLeaf:
    """One batch: which proxy run sent it, and how many events it has."""

    origin: Coordinates
    proxy_id: str
    proxy_epoch: str
    batch_seq: int
    events: int


@dataclass(frozen=True, slots=True)
class RetentionLeaf:
    """An order of retention or what came of it: a whole RetentionAction, which holds no content."""

    origin: Coordinates
    fingerprint: bytes
    action: bytes


@dataclass(frozen=True, slots=True)
class HoldLeaf:
    """A legal hold placed or released. What it selects is committed to, not shown."""

    origin: Coordinates
    hold_id: str
    is_placed: bool
    commitment: bytes


@dataclass(frozen=True, slots=True)
class KeyLeaf:
    """The key that signs the checkpoints after this leaf."""

    vkey: str


Leaf = EventLeaf | BatchLeaf | RetentionLeaf | HoldLeaf | KeyLeaf


def commit(opening: bytes, canonical: bytes) -> bytes:
    """C, 32 bytes. An opening of another length than 16 is cut or filled with zeros, as the store does."""
    return sha256(opening[:OPENING_BYTES].ljust(OPENING_BYTES, b"\x00") + canonical).digest()


def encode_text(text: bytes) -> bytes:
    """A text, at most 65,535 bytes; a longer one is cut, so that no record can stop the log."""
    text = text[:0xFFFF]
    return len(text).to_bytes(2, "big") + text


def encode_coordinates(kind: LeafKind, log_id: str, partition: int, offset: int) -> bytes:
    """How a leaf that comes from Kafka begins."""
    return (
        bytes((VERSION, kind))
        + encode_text(log_id.encode("utf-8", "surrogateescape"))
        + _ORIGIN.pack(partition, offset)
    )


def encode_batch(origin: Coordinates, proxy_id: str, proxy_epoch: str, batch_seq: int, events: int) -> bytes:
    """The entry of a BATCH leaf."""
    return b"".join(
        (
            encode_coordinates(LeafKind.BATCH, origin.log_id, origin.partition, origin.offset),
            encode_text(proxy_id.encode()),
            encode_text(proxy_epoch.encode()),
            _BATCH_NUMBERS.pack(batch_seq, events),
        )
    )


def encode_event(leaf: EventLeaf) -> bytes:
    """The entry of an EVENT leaf; the sink makes the same bytes in bulk."""
    kind = EVENT_KINDS.index(leaf.event_kind) if leaf.event_kind in EVENT_KINDS else OTHER_KIND
    return b"".join(
        (
            encode_coordinates(LeafKind.EVENT, leaf.origin.log_id, leaf.origin.partition, leaf.origin.offset),
            EVENT_NUMBERS.pack(leaf.position, leaf.seq, leaf.at, kind),
            encode_text(leaf.session_id.encode("utf-8", "surrogateescape")),
            encode_text(leaf.retention_class.encode("utf-8", "surrogateescape")),
            leaf.commitment,
        )
    )


def encode_retention(origin: Coordinates, fingerprint: bytes, action: bytes) -> bytes:
    """The entry of a RETENTION leaf."""
    start = encode_coordinates(LeafKind.RETENTION, origin.log_id, origin.partition, origin.offset)
    return start + fingerprint + action


def encode_hold(origin: Coordinates, hold_id: str, is_placed: bool, commitment: bytes) -> bytes:
    """The entry of a HOLD leaf."""
    start = encode_coordinates(LeafKind.HOLD, origin.log_id, origin.partition, origin.offset)
    return start + encode_text(hold_id.encode()) + bytes((is_placed,)) + commitment


def encode_key(vkey: str) -> bytes:
    """The entry of a KEY leaf."""
    return bytes((VERSION, LeafKind.KEY)) + vkey.encode()


def parse_leaf(entry: bytes) -> Leaf:
    """A leaf out of its entry. Raises ProofError."""
    if len(entry) < 2 or entry[0] != VERSION:
        raise ProofError("a leaf of an unknown version")
    parser = _PARSERS.get(entry[1])
    is_event = entry[1] == LeafKind.EVENT
    if parser is None and not is_event:
        raise ProofError(f"a leaf of the unknown kind {entry[1]}")
    try:
        return _parse_event(entry) if parser is None else parser(_Cursor(entry, 2))
    except (struct.error, UnicodeDecodeError, IndexError):
        raise ProofError("a malformed leaf") from None


class _Cursor:
    """Reads an entry from the front. Raises struct.error past its end."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data, self._position = data, position

    def numbers(self, layout: struct.Struct) -> tuple[Any, ...]:
        values = layout.unpack_from(self._data, self._position)
        self._position += layout.size
        return values

    def raw(self, length: int) -> bytes:
        end = self._position + length
        if end > len(self._data):
            raise struct.error("past the end")
        data, self._position = self._data[self._position : end], end
        return data

    def rest(self) -> bytes:
        return self.raw(len(self._data) - self._position)

    def text(self) -> str:
        return self.raw(int.from_bytes(self.raw(2), "big")).decode("utf-8", "surrogateescape")

    def origin(self) -> Coordinates:
        return Coordinates(self.text(), *self.numbers(_ORIGIN))

    def finish[T](self, leaf: T) -> T:
        if self._position != len(self._data):
            raise ProofError("bytes after the end of a leaf")
        return leaf


def _parse_event(entry: bytes) -> Leaf:
    """Without a cursor: nearly every leaf is of this kind."""
    p = 4 + (entry[2] << 8 | entry[3])
    log_id = entry[4:p].decode("utf-8", "surrogateescape")
    partition, offset, position, seq, at, kind = _EVENT_HEAD.unpack_from(entry, p)
    p += _EVENT_HEAD.size
    q = p + 2 + (entry[p] << 8 | entry[p + 1])
    session_id = entry[p + 2 : q].decode("utf-8", "surrogateescape")
    p = q + 2 + (entry[q] << 8 | entry[q + 1])
    retention_class = entry[q + 2 : p].decode("utf-8", "surrogateescape")
    if p + 32 != len(entry):
        raise ProofError("a malformed leaf")
    name = EVENT_KINDS[kind] if kind < len(EVENT_KINDS) else "unknown"
    origin = Coordinates(log_id, partition, offset)
    return EventLeaf(origin, position, seq, at, name, session_id, retention_class, entry[p:])


def _parse_batch(cursor: _Cursor) -> Leaf:
    return cursor.finish(BatchLeaf(cursor.origin(), cursor.text(), cursor.text(), *cursor.numbers(_BATCH_NUMBERS)))


def _parse_retention(cursor: _Cursor) -> Leaf:
    return RetentionLeaf(cursor.origin(), cursor.raw(8), cursor.rest())


def _parse_hold(cursor: _Cursor) -> Leaf:
    return cursor.finish(HoldLeaf(cursor.origin(), cursor.text(), cursor.raw(1) != b"\x00", cursor.raw(32)))


def _parse_key(cursor: _Cursor) -> Leaf:
    return KeyLeaf(cursor.rest().decode())


_PARSERS: Final[Mapping[int, Callable[[_Cursor], Leaf]]] = {
    LeafKind.BATCH: _parse_batch,
    LeafKind.RETENTION: _parse_retention,
    LeafKind.HOLD: _parse_hold,
    LeafKind.KEY: _parse_key,
}
