"""The events of one batch as pieces of columns: an INSERT of many batches only joins them (event_rows.py). Pure.

A batch is encoded right after it was read, while all of it lies in the processor's cache, and its values are dropped at
once: kept until an INSERT is full they would be fetched from memory again for each column, and again to be freed.
"""

from array import array
from binascii import hexlify
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.wire.framing import Registry
from sinks.clickhouse.native import encode_numbers, encode_strings, index_code
from sinks.columns import Columns, DecodedBatch, decode_batch
from sinks.regions import read_map, read_masked, read_outcome, read_shape

OPENING_BYTES: Final = 16
MAX_UINT32: Final = (1 << 32) - 1
MAX_KNOWN: Final = 8192
MAX_KNOWN_BYTES: Final = 1024
"""Bounds of what is remembered encoded, and of what is worth it."""

WORDS: Final = "LowCardinality(String)"
PAIRS: Final = "Map(String, String)"
TIME: Final = "DateTime64(6, 'UTC')"
EVENT_COLUMNS: Final = (
    ("seq", "UInt64"),
    ("at", TIME),
    ("kind", WORDS),
    ("action_id", "String"),
    ("statement", "String"),
    ("fingerprint", WORDS),
    ("parameters", "Array(Nullable(String))"),
    ("operation", WORDS),
    ("objects", "Array(String)"),
    ("verdict", WORDS),
    ("status", WORDS),
    ("error", "String"),
    ("rows", "UInt64"),
    ("bytes", "UInt64"),
    ("duration_us", "UInt64"),
    ("attributes", PAIRS),
    ("payload", "String"),
    ("payload_type", WORDS),
    ("payload_bytes", "UInt64"),
    ("payload_digest", "String"),
    ("is_truncated", "Bool"),
    ("masked", "Array(Tuple(label String, count UInt32, token String, place String))"),
    ("links", PAIRS),
    ("opening", f"FixedString({OPENING_BYTES})"),
    ("canonical", "String"),
)
"""Name and type of each column that is an event's own, in the order of `PieceEncoder.encode_events`."""
KIND: Final = 2


@dataclass(frozen=True, slots=True)
class Words:
    """A piece of a column of words: the different ones, and which of them each row has (bytes while they do)."""

    keys: Sequence[bytes]
    index: Sequence[int]


@dataclass(frozen=True, slots=True)
class Items:
    """A piece of an array column: how many items each row has, and each part of all of them, encoded."""

    counts: Sequence[int]
    parts: Sequence[bytes]


Piece = bytes | Words | Items
Row = tuple[int, tuple[bytes, ...]]
"""One row of an array: how many items, and each of their parts, encoded."""


@dataclass(slots=True)
class EncodedBatch:
    """A batch whose event columns are encoded. `columns` reads it anew: for who needs single values."""

    data: bytes
    registry: Registry | None
    proxy_id: str
    proxy_epoch: str
    batch_seq: int
    rule_version: str
    contexts: list[bytes]
    sessions_of_rows: Sequence[int]
    first_at: int
    last_at: int
    pieces: list[Piece]

    def __len__(self) -> int:
        return len(self.sessions_of_rows)

    @property
    def kinds(self) -> Sequence[bytes]:
        """The kinds of event that it has."""
        piece = self.pieces[KIND]
        assert isinstance(piece, Words)  # noqa: S101 - that column's type
        return piece.keys

    def decode(self) -> DecodedBatch:
        """Its columns, read anew."""
        return decode_batch(self.data, self.registry)


class Memory[T]:
    """What was made of encoded regions, by region; bounded."""

    def __init__(self, make: Callable[[bytes], T]) -> None:
        self._make = make
        self._known: dict[bytes, T] = {}

    def __len__(self) -> int:
        return len(self._known)

    def find_all(self, regions: Sequence[bytes]) -> list[T]:
        """What is made of each of them."""
        known = self._known
        return [known[region] if region in known else self._learn(region) for region in regions]

    def _learn(self, region: bytes) -> T:
        made = self._make(region)
        if len(region) <= MAX_KNOWN_BYTES:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[region] = made
        return made


class PieceEncoder:
    """Encodes the events of batches. Remembers what is likely to come again. For one thread."""

    def __init__(self) -> None:
        self._shapes: Memory[tuple[bytes, Row, bytes, Row]] = Memory(_encode_shape)
        self._outcomes: Memory[tuple[bytes, bytes]] = Memory(read_outcome)
        self._maps: Memory[Row] = Memory(_encode_map)
        self._masked: Memory[Row] = Memory(_encode_masked)

    def decode(self, data: bytes, registry: Registry | None = None) -> EncodedBatch:
        """A framed EventBatch with its events encoded. Raises as `decode_batch` does."""
        decoded = decode_batch(data, registry)
        columns = decoded.columns
        sessions = columns.sessions
        return EncodedBatch(
            data,
            registry,
            decoded.proxy_id,
            decoded.proxy_epoch,
            decoded.batch_seq,
            decoded.rule_version,
            decoded.contexts,
            as_index(sessions, len(decoded.contexts)),
            min(columns.ats, default=0),
            max(columns.ats, default=0),
            self.encode_events(columns),
        )

    def encode_events(self, c: Columns) -> list[Piece]:
        """A piece of each of `EVENT_COLUMNS`."""
        shapes = self._shapes.find_all(c.shapes)
        outcomes = self._outcomes.find_all(c.outcomes)
        return [
            encode_numbers("Q", clamped(c.seqs)),
            encode_numbers("q", c.ats),
            as_words(c.kinds),
            encode_strings(c.action_ids),
            encode_strings(c.statements),
            as_words([shape[0] for shape in shapes]),
            as_items([shape[1] for shape in shapes], 2),
            as_words([shape[2] for shape in shapes]),
            as_items([shape[3] for shape in shapes], 1),
            as_words(c.verdicts),
            as_words([outcome[0] for outcome in outcomes]),
            encode_strings([outcome[1] for outcome in outcomes]),
            encode_numbers("Q", clamped(c.rows)),
            encode_numbers("Q", clamped(c.bytes)),
            encode_numbers("Q", clamped(c.durations)),
            as_items(self._maps.find_all(c.attributes), 2),
            encode_strings(c.payloads),
            as_words(c.payload_types),
            encode_numbers("Q", clamped(c.payload_bytes)),
            encode_strings([hexlify(digest) for digest in c.payload_digests]),
            bytes(c.truncated),
            as_items(self._masked.find_all(c.masked), 4),
            as_items(self._maps.find_all(c.links), 2),
            b"".join(_as_openings(c.openings)),
            encode_strings(c.canonical),
        ]


def as_index(values: Sequence[int], keys: int) -> Sequence[int]:
    """Numbers of one of so many keys, as bytes where they are that small."""
    return bytes(values) if keys <= 1 << 8 else array(index_code(keys), values)


def as_words(values: Sequence[bytes]) -> Words:
    """A piece of a column of words."""
    keys: dict[bytes, int] = {}
    index = [keys.setdefault(value, len(keys)) for value in values]
    return Words(list(keys), as_index(index, len(keys)))


def as_items(rows: Sequence[Row], parts: int) -> Items:
    """A piece of an array column of `parts` parts: a map has two, an array of nullable strings its nulls and them."""
    counts = [row[0] for row in rows]
    filled = [row[1] for row in rows if row[0]]
    return Items(counts, [b"".join([contents[part] for contents in filled]) for part in range(parts)])


def encode_pairs(pairs: Mapping[bytes, bytes]) -> Row:
    """A map."""
    return len(pairs), (encode_strings(list(pairs)), encode_strings(list(pairs.values())))


def clamped(column: list[int]) -> list[int]:
    """Numbers of a column without a sign."""
    if column and min(column) < 0:
        return [max(value, 0) for value in column]
    return column


def _encode_shape(region: bytes) -> tuple[bytes, Row, bytes, Row]:
    shape = read_shape(region)
    nulls = bytes(value is None for value in shape.parameters)
    texts = encode_strings([value or b"" for value in shape.parameters])
    objects = encode_strings(shape.objects)
    return (
        shape.fingerprint,
        (len(shape.parameters), (nulls, texts)),
        shape.operation,
        (len(shape.objects), (objects,)),
    )


def _encode_map(region: bytes) -> Row:
    return encode_pairs(read_map(region))


def _encode_masked(region: bytes) -> Row:
    masked: list[Any] = list(read_masked(region))
    labels, tokens = encode_strings([item[0] for item in masked]), encode_strings([item[2] for item in masked])
    places = encode_strings([item[3] for item in masked])
    counts = encode_numbers("I", [min(max(item[1], 0), MAX_UINT32) for item in masked])
    return len(masked), (labels, counts, tokens, places)


def _as_openings(column: list[bytes]) -> list[bytes]:
    if all(len(value) == OPENING_BYTES for value in column):
        return column
    return [value[:OPENING_BYTES].ljust(OPENING_BYTES, b"\x00") for value in column]
