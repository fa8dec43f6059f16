"""Batches as rows of `events`, and those rows as a block. Pure.

Every queryable column is what the event's canonical bytes decode to; `verify` compares them. Numbers that a column
cannot hold (a negative count) are brought to its nearest value, so that one bad event never blocks its partition.

A batch says most things once for all its events, and most runs of strings came before. So what belongs to a batch or a
session is encoded once for it, and what was encoded is remembered, bounded.
"""

from array import array
from binascii import hexlify
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

from sinks.clickhouse.native import (
    Block,
    Column,
    encode_dictionary,
    encode_ends,
    encode_numbers,
    encode_strings,
    encode_words,
    index_code,
    make_block,
)
from sinks.columns import COLUMNS, Columns
from sinks.reader import Batch
from sinks.regions import read_context, read_map, read_masked, read_outcome, read_shape

OPENING_BYTES: Final = 16
MAX_UINT64: Final = (1 << 64) - 1
MAX_UINT32: Final = (1 << 32) - 1
MAX_KNOWN: Final = 8192
MAX_KNOWN_BYTES: Final = 1024
"""Bounds of what is remembered encoded, and of what is worth it."""

WORDS: Final = "LowCardinality(String)"
PAIRS: Final = "Map(String, String)"
CONTEXT_WORDS: Final = ("principal", "agent", "resource", "protocol", "client", "tls", "upstream", "retention_class")
CONTEXT_TEXTS: Final = ("session_id", "run_id", "source_ip", "credential_id")
_FIELDS: Final = tuple(name for name in COLUMNS if name != "sessions")


class EventRows:
    """The rows of some batches, in order. `runs` are batches and how many rows follow of each."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.runs: list[tuple[Batch, int]] = [(batch, len(batch.decoded)) for batch in batches]
        self.positions: list[int] = []
        self.contexts: dict[bytes, int] = {}
        self.columns = Columns()
        for batch in batches:
            decoded = batch.decoded
            self.positions += range(len(decoded))
            contexts = [self.contexts.setdefault(context, len(self.contexts)) for context in decoded.contexts]
            self.columns.sessions += map(contexts.__getitem__, decoded.columns.sessions)
            for name in _FIELDS:
                column: list[Any] = getattr(self.columns, name)
                column += getattr(decoded.columns, name)

    def __len__(self) -> int:
        return len(self.positions)

    def coordinates(self) -> Iterator[tuple[int, int, int]]:
        """(partition, offset, position) of each row."""
        positions = iter(self.positions)
        for batch, count in self.runs:
            for _ in range(count):
                yield batch.partition, batch.offset, next(positions)

    def classes(self) -> list[bytes]:
        """The retention class of each context."""
        return [read_context(context, 0)[0]["retention_class"] for context in self.contexts]

    def pick(self, chosen: Sequence[int]) -> "EventRows":
        """The chosen rows, which are given in rising order."""
        picked = EventRows(())
        ends = list(accumulate(count for _, count in self.runs))
        counts = [0] * len(ends)
        run = 0
        for index in chosen:
            while index >= ends[run]:
                run += 1
            counts[run] += 1
        picked.runs = [(batch, count) for (batch, _), count in zip(self.runs, counts, strict=True) if count]
        picked.positions = [self.positions[i] for i in chosen]
        picked.contexts = self.contexts
        for name in COLUMNS:
            column = getattr(self.columns, name)
            setattr(picked.columns, name, [column[i] for i in chosen])
        return picked


class _Memory[T](dict[bytes, T]):
    """What was made of encoded regions, by region. A column asks for all its regions at once."""

    def __init__(self, make: Callable[[bytes], T]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, region: bytes) -> T:
        made = self._make(region)
        if len(region) <= MAX_KNOWN_BYTES:
            if len(self) >= MAX_KNOWN:
                self.clear()
            self[region] = made
        return made


class EventEncoder:
    """Makes blocks of rows. Remembers what is likely to come again. For one thread."""

    def __init__(self) -> None:
        self._contexts = _Memory(_encode_context)
        self._shapes = _Memory(_encode_shape)
        self._outcomes = _Memory(read_outcome)
        self._maps = _Memory(_encode_map)
        self._masked = _Memory(_encode_masked)

    def encode(self, rows: EventRows) -> Block:
        """One block of all rows."""
        columns = [*_origin_columns(rows), *self._context_columns(rows), *self._event_columns(rows.columns)]
        return make_block(columns, len(rows))

    def _context_columns(self, rows: EventRows) -> Iterator[Column]:
        contexts = list(map(self._contexts.__getitem__, rows.contexts))
        sessions = rows.columns.sessions
        index = array(index_code(len(contexts)), sessions).tobytes()
        for name in CONTEXT_WORDS:
            yield Column(name, WORDS, encode_dictionary([c[name] for c in contexts], len(rows), index))
        for name in CONTEXT_TEXTS:
            yield Column(name, "String", _spread([c[name] for c in contexts], sessions))
        yield Column("source_port", "UInt16", _spread([c["source_port"] for c in contexts], sessions))
        yield Column("opened_at", "DateTime64(6, 'UTC')", _spread([c["opened_at"] for c in contexts], sessions))
        hops, pairs = [c["delegation"] for c in contexts], [c["attributes"] for c in contexts]
        yield Column(
            "delegation", "Array(Tuple(actor String, on_behalf_of String))", _join_items([hops[i] for i in sessions], 2)
        )
        yield Column("session_attributes", PAIRS, _join_items([pairs[i] for i in sessions], 2))

    def _event_columns(self, c: Columns) -> Iterator[Column]:
        shapes = list(map(self._shapes.__getitem__, c.shapes))
        outcomes = list(map(self._outcomes.__getitem__, c.outcomes))
        yield Column("seq", "UInt64", encode_numbers("Q", _clamped(c.seqs)))
        yield Column("at", "DateTime64(6, 'UTC')", encode_numbers("q", c.ats))
        yield Column("kind", WORDS, encode_words(c.kinds))
        yield Column("action_id", "String", encode_strings(c.action_ids))
        yield Column("statement", "String", encode_strings(c.statements))
        yield Column("fingerprint", WORDS, encode_words([shape[0] for shape in shapes]))
        yield Column("parameters", "Array(Nullable(String))", _join_items([shape[1] for shape in shapes], 2))
        yield Column("operation", WORDS, encode_words([shape[2] for shape in shapes]))
        yield Column("objects", "Array(String)", _join_items([shape[3] for shape in shapes], 1))
        yield Column("verdict", WORDS, encode_words(c.verdicts))
        yield Column("status", WORDS, encode_words([outcome[0] for outcome in outcomes]))
        yield Column("error", "String", encode_strings([outcome[1] for outcome in outcomes]))
        yield Column("rows", "UInt64", encode_numbers("Q", _clamped(c.rows)))
        yield Column("bytes", "UInt64", encode_numbers("Q", _clamped(c.bytes)))
        yield Column("duration_us", "UInt64", encode_numbers("Q", _clamped(c.durations)))
        yield Column("attributes", PAIRS, _join_items(list(map(self._maps.__getitem__, c.attributes)), 2))
        yield Column("payload", "String", encode_strings(c.payloads))
        yield Column("payload_type", WORDS, encode_words(c.payload_types))
        yield Column("payload_bytes", "UInt64", encode_numbers("Q", _clamped(c.payload_bytes)))
        yield Column("payload_digest", "String", encode_strings(list(map(hexlify, c.payload_digests))))
        yield Column("is_truncated", "Bool", bytes(c.truncated))
        yield Column(
            "masked",
            "Array(Tuple(label String, count UInt32, token String, place String))",
            _join_items(list(map(self._masked.__getitem__, c.masked)), 4),
        )
        yield Column("links", PAIRS, _join_items(list(map(self._maps.__getitem__, c.links)), 2))
        yield Column("opening", f"FixedString({OPENING_BYTES})", b"".join(_as_openings(c.openings)))
        yield Column("canonical", "String", encode_strings(c.canonical))


Items = tuple[int, tuple[bytes, ...]]
"""One row of an array: how many items, and each of their parts, encoded."""


def _origin_columns(rows: EventRows) -> Iterator[Column]:
    """What is the same for all events of a batch."""
    runs = rows.runs
    words: dict[str, Callable[[Batch], str]] = {
        "log_id": lambda batch: batch.log_id,
        "proxy_id": lambda batch: batch.decoded.proxy_id,
        "proxy_epoch": lambda batch: batch.decoded.proxy_epoch,
        "rule_version": lambda batch: batch.decoded.rule_version,
    }
    for name, get in words.items():
        keys = list(dict.fromkeys(get(batch) for batch, _ in runs))
        index = _repeat(index_code(len(keys)), [(keys.index(get(batch)), count) for batch, count in runs])
        yield Column(name, WORDS, encode_dictionary([key.encode() for key in keys], len(rows), index))
    yield Column("partition", "UInt32", _repeat("I", [(batch.partition, count) for batch, count in runs]))
    yield Column("offset", "UInt64", _repeat("Q", [(batch.offset, count) for batch, count in runs]))
    yield Column("batch_seq", "UInt64", _repeat("Q", [(max(0, b.decoded.batch_seq), count) for b, count in runs]))
    yield Column("position", "UInt32", encode_numbers("I", rows.positions))


def _repeat(code: str, runs: Sequence[tuple[int, int]]) -> bytes:
    return b"".join(array(code, (value,)).tobytes() * count for value, count in runs)


def _spread(values: Sequence[bytes], index: Sequence[int]) -> bytes:
    if len(values) == 1:
        return values[0] * len(index)
    return b"".join(map(values.__getitem__, index))


def _join_items(rows: Sequence[Items], parts: int) -> bytes:
    """An array column of `parts` parts (a map has two, an array of nullable strings its nulls and its strings)."""
    pieces = [encode_ends([count for count, _ in rows])]
    filled = [contents for count, contents in rows if count]
    pieces += (b"".join([contents[part] for contents in filled]) for part in range(parts))
    return b"".join(pieces)


def _encode_context(region: bytes) -> Mapping[str, Any]:
    context = read_context(region, 0)[0]
    hops = context["delegation"]
    return {
        **{name: context[name] for name in CONTEXT_WORDS},
        **{name: encode_strings([context[name]]) for name in CONTEXT_TEXTS},
        "source_port": encode_numbers("H", [min(max(context["source_port"], 0), 65_535)]),
        "opened_at": encode_numbers("q", [context["opened_at"]]),
        "delegation": (len(hops), tuple(encode_strings([hop[k] for hop in hops]) for k in ("actor", "on_behalf_of"))),
        "attributes": _encode_pairs(context["attributes"]),
    }


def _encode_shape(region: bytes) -> tuple[bytes, Items, bytes, Items]:
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


def _encode_map(region: bytes) -> Items:
    return _encode_pairs(read_map(region))


def _encode_pairs(pairs: Mapping[bytes, bytes]) -> Items:
    return len(pairs), (encode_strings(list(pairs)), encode_strings(list(pairs.values())))


def _encode_masked(region: bytes) -> Items:
    masked = read_masked(region)
    labels, tokens = encode_strings([item[0] for item in masked]), encode_strings([item[2] for item in masked])
    places = encode_strings([item[3] for item in masked])
    counts = encode_numbers("I", [min(max(item[1], 0), MAX_UINT32) for item in masked])
    return len(masked), (labels, counts, tokens, places)


def _clamped(column: list[int]) -> list[int]:
    if column and min(column) < 0:
        return [max(value, 0) for value in column]
    return column


def _as_openings(column: list[bytes]) -> list[bytes]:
    if all(len(value) == OPENING_BYTES for value in column):
        return column
    return [value[:OPENING_BYTES].ljust(OPENING_BYTES, b"\x00") for value in column]
