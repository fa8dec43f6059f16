"""Leaves straight from an EventBatch's bytes: finds where each event, its number, time, kind and opening lie.

The transparency log needs the exact bytes of each event and five of its fields, so nothing else is read: for each
version's `.avsc` a walker is generated, straight-line code that steps over a field at a time. It shares no code with
the columns of the store (sinks/columns.py), so that the two derivations of the canonical bytes check each other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from typing import Any, Final

from schemas.errors import RecordError
from schemas.wire import framing
from schemas.wire.framing import Registry
from sinks.transparency.leaf import (
    EVENT_KINDS,
    EVENT_NUMBERS,
    OPENING_BYTES,
    OTHER_KIND,
    Coordinates,
    LeafKind,
    encode_batch,
    encode_coordinates,
    encode_text,
)
from sinks.transparency.merkle import LEAF_PREFIX, hash_leaf
from sinks.transparency.tiles import frame_entry

RECORD: Final = "EventBatch"
MAX_EVENTS: Final = 1_000_000
"""Of one batch: each takes at least 20 bytes of a record of at most 4 MiB."""
_REPEATING: Final = frozenset(("operation", "objects", "verdict", "status", "error", "attributes", "links"))
"""Fields that mostly are what they were in the last event of the same kind. A run of them is compared with those bytes
before it is walked: Avro values say themselves where they end, so equal bytes are equal values of equal length."""
_STEP: Final = tuple(0 if n & 129 else 1 + (n >> 1) for n in range(256))
"""First byte of a string -> how far its end lies; 0 for a length in several bytes, or below zero."""
_KIND_NUMBERS: Final = {kind.encode(): number for number, kind in enumerate(EVENT_KINDS)}


@dataclass(frozen=True, slots=True)
class LeafBatch:
    """The leaves of one origin: its BATCH leaf, then one leaf an event. `framed`: entries as bundles hold them."""

    origin: tuple[str, int, int]
    framed: list[bytes]
    hashes: list[bytes]

    def __len__(self) -> int:
        return len(self.framed)


def derive_leaves(data: bytes, registry: Registry | None = None) -> LeafBatch:
    """The leaves of a framed EventBatch. Raises RecordError for anything else; Unreachable as framing does."""
    _, fingerprint, start = framing.find_body(data, registry)
    walker = _WALKERS.get(fingerprint)
    if walker is None:
        raise RecordError("not an EventBatch of a known version")
    try:
        return walker.derive(data, start)
    except (IndexError, UnicodeDecodeError):
        raise RecordError("a truncated batch") from None


def read_long(b: bytes, p: int) -> tuple[int, int]:
    """A zigzag varint of at most 64 bits and the position after it."""
    n = shift = 0
    while True:
        byte = b[p]
        p += 1
        n |= (byte & 127) << shift
        if byte < 128:
            if n >> 64:
                raise RecordError("a number longer than 64 bits")
            return (n >> 1) ^ -(n & 1), p
        shift += 7
        if shift > 63:
            raise RecordError("a number longer than 64 bits")


def read_bytes(b: bytes, p: int) -> tuple[bytes, int]:
    """A string or bytes and the position after it."""
    n, p = read_long(b, p)
    if n < 0 or p + n > len(b):
        raise RecordError("a length beyond the batch")
    return b[p : p + n], p + n


def _skip_bytes(b: bytes, p: int) -> int:
    n, p = read_long(b, p)
    if n < 0:
        raise RecordError("a negative length")
    return p + n


def _skip_long(b: bytes, p: int) -> int:
    return read_long(b, p)[1]


class _Generator:
    """Writes source that steps over Avro types: `p` is the position in `b`."""

    def __init__(self) -> None:
        self.helpers: list[str] = []
        self.names: dict[str, str] = {}

    def emit(self, type_: Any) -> list[str]:
        """Lines that step over one value."""
        name = type_["type"] if isinstance(type_, dict) else type_
        if name in ("array", "map"):
            return [f"if b[p]: p = {self.helper(type_)}(b, p)", "else: p += 1"]
        if isinstance(type_, list) or name == "record" or name in self.names:
            return [f"p = {self.helper(type_)}(b, p)"]
        if name in ("string", "bytes"):
            # Lengths below 64 and below 8192 in place: a call costs more than the rest.
            return [
                "if n := STEP[b[p]]: p += n",
                "elif not (n := b[p]) & 1 and (m := b[p + 1]) < 128: p += 2 + ((n & 126 | m << 7) >> 1)",
                "else: p = skip_bytes(b, p)",
            ]
        if name in ("long", "int", "enum"):
            return ["if b[p] < 128: p += 1", "else: p = skip_long(b, p)"]
        if name == "boolean":
            return ["p += 1"]
        if name == "null":
            return []
        raise TypeError(f"no walker for the Avro type {name}")

    def helper(self, type_: Any) -> str:
        """The name of a function (b, p) -> p for a compound type."""
        if isinstance(type_, str):
            return self.names[type_]
        name = f"skip_{len(self.helpers)}"
        slot = len(self.helpers)
        self.helpers.append("")
        if isinstance(type_, list):
            body = ["    which = b[p] >> 1; p += 1"]
            for index, branch in enumerate(type_):
                body += [f"    if which == {index}:", *_indent(self.emit(branch), 8), "        return p"]
            body.append("    raise RecordError('an unknown union branch')")
        elif type_["type"] == "record":
            self.names[type_["name"]] = self.names[f"{type_.get('namespace', '')}.{type_['name']}"] = name
            body = [line for field in type_["fields"] for line in _indent(self.emit(field["type"]), 4)]
            body.append("    return p")
        else:
            item = self.emit(type_["items"] if type_["type"] == "array" else type_["values"])
            key = [] if type_["type"] == "array" else self.emit("string")
            body = [
                "    while True:",
                "        if (n := b[p]) & 129: count, p = read_long(b, p)",
                "        elif n == 0: return p + 1",
                "        else: count = n >> 1; p += 1",
                "        if count < 0: count = -count; p = skip_long(b, p)",
                "        elif count == 0: return p",
                # Each item takes at least a byte, so a count beyond the record is refused before the loop.
                "        if count > len(b): raise RecordError('a count beyond the batch')",
                "        for _ in range(count):",
                *_indent(key + item, 12),
                "            if p > len(b): raise RecordError('a truncated batch')",
            ]
        self.helpers[slot] = "\n".join([f"def {name}(b, p):", *body])
        return name


def _indent(lines: list[str], by: int) -> list[str]:
    return [" " * by + line for line in lines]


class _Walker:
    """The generated walker of one version of EventBatch."""

    def __init__(self, document: dict[str, Any]) -> None:
        fields = {field["name"]: field["type"] for field in document["fields"]}
        names = ["origin", "proxy_id", "proxy_epoch", "batch_seq", "rule_version", "sessions", "events"]
        if list(fields) != names:
            raise TypeError("EventBatch must be: " + ", ".join(names))
        self.fingerprint = framing.schema_fingerprint(document)
        # In canonical form the fingerprint comes first, as Avro bytes.
        self._prefix = bytes((2 * len(self.fingerprint),)) + self.fingerprint
        session = fields["sessions"]["items"]
        self._class_skip = [field["name"] for field in session["fields"]].index("retention_class")
        self._compile(session, fields["events"]["items"]["fields"])

    def _compile(self, session: dict[str, Any], pair: list[dict[str, Any]]) -> None:
        if [field["name"] for field in pair] != ["session", "event"]:
            raise TypeError("SessionEvent must be session, event")
        generator = _Generator()
        skip_session = generator.helper(session)
        before_class = {"type": "record", "name": "BeforeClass", "fields": session["fields"][: self._class_skip]}
        skip_to_class = generator.helper(before_class)
        source = "\n".join([*generator.helpers, _events_source(generator, pair[1]["type"]["fields"])])
        source = "\n".join([*generator.helpers, source])
        namespace: dict[str, Any] = {
            "RecordError": RecordError, "read_long": read_long, "read_bytes": read_bytes, "skip_long": _skip_long,
            "skip_bytes": _skip_bytes, "kind_number": _KIND_NUMBERS.get, "OTHER": OTHER_KIND, "sha256": sha256,
            "pack": EVENT_NUMBERS.pack, "STEP": _STEP, "OPENING": OPENING_BYTES,
        }  # fmt: skip
        # The source comes from the .avsc files of this repository and from nothing else.
        exec(compile(source, "<EventBatch walker>", "exec"), namespace)  # noqa: S102
        self._skip_session: Callable[[bytes, int], int] = namespace[skip_session]
        self._skip_to_class: Callable[[bytes, int], int] = namespace[skip_to_class]
        self._events: Callable[..., int] = namespace["walk_events"]

    def derive(self, b: bytes, p: int) -> LeafBatch:
        if b[p] != 2:
            raise RecordError("a batch without origin")
        log_id, p = read_bytes(b, p + 1)
        partition, p = read_long(b, p)
        offset, p = read_long(b, p)
        proxy_id, p = read_bytes(b, p)
        proxy_epoch, p = read_bytes(b, p)
        batch_seq, p = read_long(b, p)
        rule_version, p = read_bytes(b, p)
        rule_version.decode()
        if not 0 <= partition < 1 << 32 or offset < 0:
            raise RecordError("an origin that is none")
        origin = Coordinates(log_id.decode(), partition, offset)
        start = encode_coordinates(LeafKind.EVENT, origin.log_id, partition, offset)
        sessions, p = self._read_sessions(b, p, start)
        framed: list[bytes] = [b""]
        hashes: list[bytes] = [b""]
        p = self._events(b, p, start, LEAF_PREFIX + start, sessions, framed.append, hashes.append)
        if p != len(b):
            raise RecordError("bytes after the end of the batch" if p < len(b) else "a truncated batch")
        entry = encode_batch(origin, proxy_id.decode(), proxy_epoch.decode(), batch_seq, len(framed) - 1)
        framed[0], hashes[0] = frame_entry(entry), hash_leaf(entry)
        return LeafBatch((origin.log_id, partition, offset), framed, hashes)

    def _read_sessions(self, b: bytes, p: int, start: bytes) -> tuple[list[tuple[bytes, bytes, bytes]], int]:
        """Of each session: what goes before its events in canonical form, its part of a leaf, the length of a leaf."""
        sessions: list[tuple[bytes, bytes, bytes]] = []
        while True:
            count, p = read_long(b, p)
            if count == 0:
                return sessions, p
            if count < 0:
                count = -count
                p = _skip_long(b, p)
            for _ in range(count):
                end = self._skip_session(b, p)
                if end > len(b):
                    raise RecordError("a truncated batch")
                session_id, _ = read_bytes(b, p)
                retention_class, _ = read_bytes(b, self._skip_to_class(b, p))
                part = encode_text(session_id) + encode_text(retention_class)
                length = len(start) + EVENT_NUMBERS.size + len(part) + 32
                sessions.append((self._prefix + b[p:end], part, length.to_bytes(2, "big") if length < 65536 else b""))
                p = end


def _events_source(generator: _Generator, fields: list[dict[str, Any]]) -> str:
    """`walk_events(b, p, start, hash_start, sessions, add_framed, add_hash) -> p`, straight-line per event."""
    names = [field["name"] for field in fields]
    if names[:3] != ["seq", "at", "kind"] or fields[0]["type"] != "long" or fields[1]["type"] != "long":
        raise TypeError("Event must begin with seq, at, kind")
    lines = [
        "def walk_events(b, p, start, hash_start, sessions, add_framed, add_hash):",
        "    size = len(b); position = high = 0; tail = None; memos = {}",
        "    while True:",
        "        count, p = read_long(b, p)",
        "        if count == 0: return p",
        "        if count < 0: count = -count; p = skip_long(b, p)",
        "        for _ in range(count):",
        "            if (n := b[p]) & 129: n, p = read_long(b, p)",
        "            else: n >>= 1; p += 1",
        "            if not 0 <= n < len(sessions): raise RecordError('an event of an unknown session')",
        "            prefix, part, length = sessions[n]; begin = p",
        "            if (n := b[p]) & 129: seq, p = read_long(b, p)",
        "            else: seq = n >> 1; p += 1",
        # Times of neighbours differ in their low bits: the high ones, which come last, are read once.
        "            if b[p + 3 : p + 8] == tail and b[p] & b[p + 1] & b[p + 2] & 128:",
        "                n = b[p] & 127 | (b[p + 1] & 127) << 7 | (b[p + 2] & 127) << 14 | high",
        "                at = (n >> 1) ^ -(n & 1); p += 8",
        "            else:",
        "                tail = b[p + 3 : p + 8]; at, q = read_long(b, p)",
        "                if q == p + 8: high = (at << 1 ^ at >> 63) >> 21 << 21",
        "                else: tail = None",
        "                p = q",
        "            if n := STEP[b[p]]: kind = b[p + 1 : p + n]; p += n",
        "            else: kind, p = read_bytes(b, p)",
    ]
    runs = [list(run) for _, run in groupby(fields[3:], lambda field: field["name"] in _REPEATING)]
    repeating = [run for run in runs if run[0]["name"] in _REPEATING]
    blanks = ", ".join(["None"] * len(repeating))
    lines += [
        "            memo = memos.get(kind)",
        f"            if memo is None: memo = memos[kind] = [kind_number(kind, OTHER), {blanks}]",
    ]
    for run in runs:
        walked = [line for field in run for line in _walk_field(generator, field)]
        if run in repeating:
            slot = repeating.index(run) + 1
            lines += [
                f"            if (seen := memo[{slot}]) is not None and b.startswith(seen, p): p += len(seen)",
                "            else:",
                "                first = p",
                *_indent(walked, 16),
                f"                memo[{slot}] = b[first:p]",
            ]
        else:
            lines += _indent(walked, 12)
    lines += [
        "            if p > size: raise RecordError('a truncated batch')",
        "            if len(opening) != OPENING: opening = opening[:OPENING].ljust(OPENING, b'\\0')",
        # Canonical form is the event with an empty opening, one zero byte; a later version's fields may follow it.
        "            c = sha256(b''.join((opening, prefix, b[begin:cut], b'\\0', b[resume:p]))).digest()",
        "            body = b''.join((pack(position, seq, at, memo[0]), part, c))",
        "            if not length: raise RecordError('a session id that fits no leaf')",
        "            add_framed(b''.join((length, start, body)))",
        "            add_hash(sha256(hash_start + body).digest())",
        "            position += 1",
    ]
    return "\n".join(lines)


def _walk_field(generator: _Generator, field: dict[str, Any]) -> list[str]:
    if field["name"] != "opening":
        return generator.emit(field["type"])
    end = 1 + OPENING_BYTES
    return [
        "cut = p",
        f"if b[p] == {2 * OPENING_BYTES}: opening = b[p + 1 : p + {end}]; p += {end}",
        "else: opening, p = read_bytes(b, p)",
        "resume = p",
    ]


_WALKERS: Final[Mapping[bytes, _Walker]] = {
    walker.fingerprint: walker
    for version in framing.versions_of(RECORD)
    for walker in [_Walker(framing.load_avsc(RECORD, version))]
}
