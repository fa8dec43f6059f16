"""An EventBatch read straight into columns, with the exact bytes of each event. Pure.

A generic Avro reader builds an object of every field and forgets where the event stood. Here strings stay bytes, since
ClickHouse takes bytes, and runs of fields that are mostly the same stay as they are encoded: who needs them reads them
once, however often they come. Each event's own bytes become `canonical`, the Avro binary of `StoredEvent`: fingerprint,
session context, event without its opening. So canonical depends on nothing but the record that is on Kafka.

The layout is that of `EventBatch.v1.avsc`, spelled out; a test compares it with the schema's own reader, and fails when
there is a version that is not read here.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from schemas.errors import RecordError
from schemas.wire import framing
from schemas.wire.avro import EMPTY, zigzag
from schemas.wire.framing import Registry
from schemas.wire.skips import (
    STEPS,
    content_of,
    read_count,
    read_long,
    skip_context,
    skip_parameters,
    skip_text,
    skip_texts,
)
from sinks.regions import read_context, read_origin, read_text, skip_masked

RECORD: Final = "EventBatch"
VERDICTS: Final = (b"none", b"allow", b"mask", b"hold", b"deny")
_CURRENT: Final = framing.current_fingerprint(RECORD)
_MORE: Final = 0x80808080
_CANONICAL_PREFIX: Final = zigzag(len(_CURRENT)) + _CURRENT


COLUMNS: Final = (
    "action_ids", "ats", "attributes", "bytes", "canonical", "durations", "kinds", "links", "masked", "openings",
    "outcomes", "payload_bytes", "payload_digests", "payload_types", "payloads", "rows", "seqs", "sessions",
    "shapes", "statements", "truncated", "verdicts",
)  # fmt: skip
"""The names of the columns."""


class Columns:
    """One entry an event. Strings are bytes without their length; `shapes` and what follows are encoded.

    A shape is fingerprint, parameters, operation and objects; an outcome is status and error; `read_shape` and the like
    read them. `canonical` holds the parts of a canonical form: prefix, all before the opening, all behind it.
    """

    def __init__(self) -> None:
        self.sessions: list[int] = []
        self.seqs: list[int] = []
        self.ats: list[int] = []
        self.kinds: list[bytes] = []
        self.action_ids: list[bytes] = []
        self.statements: list[bytes] = []
        self.verdicts: list[bytes] = []
        self.rows: list[int] = []
        self.bytes: list[int] = []
        self.durations: list[int] = []
        self.payloads: list[bytes] = []
        self.payload_types: list[bytes] = []
        self.payload_bytes: list[int] = []
        self.payload_digests: list[bytes] = []
        self.truncated: list[int] = []
        self.openings: list[bytes] = []
        self.canonical: list[bytes] = []
        self.shapes: list[bytes] = []
        self.outcomes: list[bytes] = []
        self.attributes: list[bytes] = []
        self.masked: list[bytes] = []
        self.links: list[bytes] = []


@dataclass
class DecodedBatch:
    """A batch in columns. `contexts` are encoded; `sessions` are their fields, strings as bytes."""

    origin: tuple[str, int, int] | None
    proxy_id: str
    proxy_epoch: str
    batch_seq: int
    rule_version: str
    contexts: list[bytes]
    columns: Columns

    def __len__(self) -> int:
        return len(self.columns.seqs)

    @property
    def kinds(self) -> list[bytes]:
        """The kinds of its events."""
        return self.columns.kinds

    def decode(self) -> "DecodedBatch":
        """Itself: there are forms of a batch that have to be read for their columns."""
        return self

    @cached_property
    def sessions(self) -> list[dict[str, Any]]:
        """The contexts' fields."""
        return [read_context(context, 0)[0] for context in self.contexts]


def decode_batch(data: bytes, registry: Registry | None = None) -> DecodedBatch:
    """The columns of a framed EventBatch. Raises RecordError for anything else; Unreachable as framing does."""
    start = _find_body(data, registry)
    try:
        return _decode(data, start)
    except (IndexError, UnicodeDecodeError):
        raise RecordError("a truncated batch") from None


def decode_origin(data: bytes, registry: Registry | None = None) -> tuple[str, int, int]:
    """(log_id, partition, offset) of a framed EventBatch, without reading its events. Raises RecordError."""
    start = _find_body(data, registry)
    try:
        origin, _ = read_origin(data, start)
    except (IndexError, UnicodeDecodeError):
        raise RecordError("a truncated batch") from None
    if origin is None:
        raise RecordError("a batch without origin")
    return origin


def _find_body(data: bytes, registry: Registry | None) -> int:
    record, fingerprint, start = framing.find_body(data, registry)
    if record != RECORD or fingerprint != _CURRENT:
        raise RecordError("not an EventBatch of a known version")
    return start


def _decode(b: bytes, p: int) -> DecodedBatch:
    origin, p = read_origin(b, p)
    proxy_id, p = read_text(b, p)
    proxy_epoch, p = read_text(b, p)
    batch_seq, p = read_long(b, p)
    rule_version, p = read_text(b, p)
    contexts: list[bytes] = []
    while True:
        count, p = read_count(b, p)
        if count == 0:
            break
        for _ in range(count):
            start, p = p, skip_context(b, p)
            contexts.append(b[start:p])
    columns = Columns()
    prefixes = [_CANONICAL_PREFIX + context for context in contexts]
    while True:
        count, p = read_count(b, p)
        if count == 0:
            break
        p = read_events(b, p, count, prefixes, columns)
    if p != len(b):
        raise RecordError("bytes after the end of the batch" if p < len(b) else "a truncated batch")
    return DecodedBatch(
        origin, proxy_id.decode(), proxy_epoch.decode(), batch_seq, rule_version.decode(), contexts, columns
    )


def read_events(b: bytes, p: int, count: int, prefixes: list[bytes], columns: Columns) -> int:
    """Append `count` events from `p` on; the position after them. Raises RecordError, IndexError.

    One long function, since it runs once an event: calls and attributes would cost more than all the rest.
    """
    steps, verdicts, session_count = STEPS, VERDICTS, len(prefixes)
    add_session, add_seq, add_at = columns.sessions.append, columns.seqs.append, columns.ats.append
    add_kind, add_action, add_statement = columns.kinds.append, columns.action_ids.append, columns.statements.append
    add_shape, add_verdict, add_outcome = columns.shapes.append, columns.verdicts.append, columns.outcomes.append
    add_rows, add_bytes, add_duration = columns.rows.append, columns.bytes.append, columns.durations.append
    add_attributes, add_payload = columns.attributes.append, columns.payloads.append
    add_type, add_size = columns.payload_types.append, columns.payload_bytes.append
    add_digest, add_truncated = columns.payload_digests.append, columns.truncated.append
    add_masked, add_links = columns.masked.append, columns.links.append
    add_opening, add_canonical = columns.openings.append, columns.canonical.append
    last_high, last_base, size = b"-", 0, len(b)
    for _ in range(count):
        n = b[p]
        if n & 0x81:
            n, p = read_long(b, p)
        else:
            n >>= 1
            p += 1
        if not 0 <= n < session_count:
            raise RecordError("an event of an unknown session")
        add_session(n)
        prefix = prefixes[n]
        begin = p
        n = b[p]
        if n < 128:
            n = (n >> 1) ^ -(n & 1)
            p += 1
        elif (m := b[p + 1]) < 128:
            n = n & 127 | m << 7
            n = (n >> 1) ^ -(n & 1)
            p += 2
        else:
            n, p = read_long(b, p)
        add_seq(n)
        # Times of a batch share their upper bytes: the lower four, all of them with more to come, make the difference.
        high = b[p + 4 : p + 8] if p + 8 <= size else b""  # compiled code must not slice behind the end
        if high == last_high and (low := int.from_bytes(b[p : p + 4], "little")) & _MORE == _MORE:
            n = last_base | low & 0x7F | low >> 1 & 0x3F80 | low >> 2 & 0x1FC000 | low >> 3 & 0xFE00000
            n = (n >> 1) ^ -(n & 1)
            p += 8
        else:
            start = p
            n, p = read_long(b, p)
            if p - start == 8 and n >= 0:
                last_high, last_base = high, n >> 27 << 28
        add_at(n)
        start = p
        step = steps[b[p]]
        if step:
            p += step
            add_kind(b[start + 1 : p])
        else:
            p = skip_text(b, p)
            add_kind(content_of(b, start, p))
        start = p
        step = steps[b[p]]
        if step:
            p += step
            add_action(b[start + 1 : p])
        else:
            p = skip_text(b, p)
            add_action(content_of(b, start, p))
        start = p
        step = steps[b[p]]
        if step:
            p += step
            add_statement(b[start + 1 : p])
        else:
            p = skip_text(b, p)
            add_statement(content_of(b, start, p))
        start = p
        step = steps[b[p]]
        p = p + step if step else skip_text(b, p)
        p = skip_parameters(b, p) if b[p] else p + 1
        step = steps[b[p]]
        p = p + step if step else skip_text(b, p)
        p = skip_texts(b, p) if b[p] else p + 1
        add_shape(b[start:p])
        n = b[p]
        if n & 0x81:
            raise RecordError("an unknown verdict")
        add_verdict(verdicts[n >> 1])
        p += 1
        start = p
        step = steps[b[p]]
        p = p + step if step else skip_text(b, p)
        step = steps[b[p]]
        p = p + step if step else skip_text(b, p)
        add_outcome(b[start:p])
        n = b[p]
        if n < 128:
            n = (n >> 1) ^ -(n & 1)
            p += 1
        else:
            n, p = read_long(b, p)
        add_rows(n)
        n = b[p]
        if n < 128:
            n = (n >> 1) ^ -(n & 1)
            p += 1
        elif (m := b[p + 1]) < 128:
            n = n & 127 | m << 7
            n = (n >> 1) ^ -(n & 1)
            p += 2
        else:
            n, p = read_long(b, p)
        add_bytes(n)
        n = b[p]
        if n < 128:
            n = (n >> 1) ^ -(n & 1)
            p += 1
        elif (m := b[p + 1]) < 128:
            n = n & 127 | m << 7
            n = (n >> 1) ^ -(n & 1)
            p += 2
        else:
            n, p = read_long(b, p)
        add_duration(n)
        start = p
        p = skip_texts(b, p, 2) if b[p] else p + 1
        add_attributes(b[start:p])
        start = p
        step = steps[b[p]]
        if step:
            p += step
            add_payload(b[start + 1 : p])
        else:
            p = skip_text(b, p)
            add_payload(content_of(b, start, p))
        start = p
        step = steps[b[p]]
        if step:
            p += step
            add_type(b[start + 1 : p])
        else:
            p = skip_text(b, p)
            add_type(content_of(b, start, p))
        n = b[p]
        if n < 128:
            n = (n >> 1) ^ -(n & 1)
            p += 1
        elif (m := b[p + 1]) < 128:
            n = n & 127 | m << 7
            n = (n >> 1) ^ -(n & 1)
            p += 2
        else:
            n, p = read_long(b, p)
        add_size(n)
        start = p
        step = steps[b[p]]
        if step:
            p += step
            add_digest(b[start + 1 : p])
        else:
            p = skip_text(b, p)
            add_digest(content_of(b, start, p))
        add_truncated(1 if b[p] else 0)
        p += 1
        start = p
        p = skip_masked(b, p) if b[p] else p + 1
        add_masked(b[start:p])
        start = p
        p = skip_texts(b, p, 2) if b[p] else p + 1
        add_links(b[start:p])
        start = p
        step = steps[b[p]]
        if step:
            p += step
            add_opening(b[start + 1 : p])
        else:
            p = skip_text(b, p)
            add_opening(content_of(b, start, p))
        if p > size:
            raise RecordError("a truncated batch")
        add_canonical(prefix + b[begin:start] + EMPTY)  # an empty opening is one zero byte
    return p
