"""Batches as rows of `events`, and those rows as a block. Pure.

Every queryable column is what the event's canonical bytes decode to; `verify` compares them. Numbers that a column
cannot hold (a negative count) are brought to its nearest value, so that one bad event never blocks its partition.

A batch says most things once for all its events, and most runs of strings came before. So what belongs to a batch or a
session is encoded once for it, and what was encoded is remembered, bounded. A batch that comes with its events encoded
(event_pieces.py) is only joined to the others.
"""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any, Final

from sinks.clickhouse.event_pieces import (
    EVENT_COLUMNS,
    PAIRS,
    TIME,
    WORDS,
    EncodedBatch,
    Items,
    Memory,
    Piece,
    PieceEncoder,
    Words,
    as_items,
    encode_pairs,
)
from sinks.clickhouse.native import (
    Block,
    Column,
    encode_dictionary,
    encode_ends,
    encode_numbers,
    encode_strings,
    index_code,
    make_block,
)
from sinks.columns import COLUMNS, Columns
from sinks.reader import Batch
from sinks.regions import read_context

DAY_US: Final = 86_400_000_000
CONTEXT_WORDS: Final = ("principal", "agent", "resource", "protocol", "client", "tls", "upstream", "retention_class")
CONTEXT_TEXTS: Final = ("session_id", "run_id", "source_ip", "credential_id")

Stored = Batch[Any]
"""A batch whose `decoded` is a DecodedBatch or an EncodedBatch."""
Partition = tuple[bytes | str, int]
"""Retention class and day: a partition of the store."""


@dataclass(frozen=True, slots=True)
class Run:
    """Rows of one batch: those at `chosen`, which rise, or all of them."""

    batch: Stored
    chosen: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.batch.decoded) if self.chosen is None else len(self.chosen)

    @property
    def positions(self) -> Sequence[int]:
        return range(len(self.batch.decoded)) if self.chosen is None else self.chosen

    def columns(self) -> Columns:
        """Only the run's rows. Reads the batch anew where its events came encoded."""
        decoded = self.batch.decoded
        columns: Columns = decoded.decode().columns
        if self.chosen is None:
            return columns
        picked = Columns()
        for name in COLUMNS:
            column = getattr(columns, name)
            setattr(picked, name, [column[i] for i in self.chosen])
        return picked

    def sessions(self) -> Sequence[int]:
        """Which context of the batch each row has."""
        decoded = self.batch.decoded
        every = decoded.sessions_of_rows if isinstance(decoded, EncodedBatch) else decoded.columns.sessions
        return every if self.chosen is None else [every[i] for i in self.chosen]

    def times(self) -> tuple[int, int]:
        """No row is earlier or later."""
        decoded = self.batch.decoded
        if isinstance(decoded, EncodedBatch):
            return decoded.first_at, decoded.last_at
        return min(decoded.columns.ats, default=0), max(decoded.columns.ats, default=0)

    def pieces(self, encoder: PieceEncoder) -> list[Piece]:
        """Its part of each event column."""
        decoded = self.batch.decoded
        if self.chosen is None and isinstance(decoded, EncodedBatch):
            return decoded.pieces
        return encoder.encode_events(self.columns())


class EventRows:
    """The rows of some batches, in order."""

    def __init__(self, batches: Sequence[Stored]) -> None:
        self.runs = [Run(batch) for batch in batches]

    def __len__(self) -> int:
        return sum(map(len, self.runs))

    def coordinates(self) -> Iterator[tuple[int, int, int]]:
        """(partition, offset, position) of each row."""
        for run in self.runs:
            for position in run.positions:
                yield run.batch.partition, run.batch.offset, position

    def partitions(self) -> list[Partition]:
        """Of each row; of one alone when all have the same."""
        runs = [run for run in self.runs if len(run)]
        contexts = dict.fromkeys(context for run in runs for context in run.batch.decoded.contexts)
        classes: dict[bytes, bytes] = {context: read_context(context, 0)[0]["retention_class"] for context in contexts}
        days = {at // DAY_US for run in runs for at in run.times()}
        if len(days) == 1 and len(set(classes.values())) == 1:
            return [(next(iter(classes.values())), days.pop())]
        found: list[Partition] = []
        for run in runs:
            own = [classes[context] for context in run.batch.decoded.contexts]
            columns = run.columns()
            pairs = zip(columns.sessions, columns.ats, strict=True)
            found += [(own[session], at // DAY_US) for session, at in pairs]
        return found

    def pick(self, chosen: Sequence[int]) -> "EventRows":
        """The chosen rows, which are given in rising order."""
        picked = EventRows(())
        ends = list(accumulate(map(len, self.runs)))
        positions: list[list[int]] = [[] for _ in ends]
        number = begin = 0
        for index in chosen:
            while index >= ends[number]:
                begin = ends[number]
                number += 1
            positions[number].append(self.runs[number].positions[index - begin])
        picked.runs = [Run(run.batch, rows) for run, rows in zip(self.runs, positions, strict=True) if rows]
        return picked


class EventEncoder(PieceEncoder):
    """Makes blocks of rows. For one thread."""

    def __init__(self) -> None:
        super().__init__()
        self._contexts: Memory[Mapping[str, Any]] = Memory(_encode_context)

    def encode(self, rows: EventRows) -> Block:
        """One block of all rows."""
        columns = [*_origin_columns(rows), *self._context_columns(rows)]
        pieces = [run.pieces(self) for run in rows.runs]
        for number, (name, type_) in enumerate(EVENT_COLUMNS):
            columns.append(Column(name, type_, _join([each[number] for each in pieces], len(rows))))
        return make_block(columns, len(rows))

    def _context_columns(self, rows: EventRows) -> Iterator[Column]:
        regions, sessions = _share_contexts(rows)
        contexts = self._contexts.find_all(regions)
        index = array(index_code(len(contexts)), sessions).tobytes()
        for name in CONTEXT_WORDS:
            yield Column(name, WORDS, encode_dictionary([c[name] for c in contexts], len(rows), index))
        for name in CONTEXT_TEXTS:
            yield Column(name, "String", _spread([c[name] for c in contexts], sessions))
        yield Column("source_port", "UInt16", _spread([c["source_port"] for c in contexts], sessions))
        yield Column("opened_at", TIME, _spread([c["opened_at"] for c in contexts], sessions))
        for name, type_ in (("delegation", "Array(Tuple(actor String, on_behalf_of String))"), ("attributes", PAIRS)):
            rows_of = [c[name] for c in contexts]
            column = "session_attributes" if name == "attributes" else name
            yield Column(column, type_, _join_items([as_items([rows_of[i] for i in sessions], 2)]))


def _share_contexts(rows: EventRows) -> tuple[Sequence[bytes], Sequence[int]]:
    """The different contexts of all batches, and which of them each row has."""
    known: dict[bytes, int] = {}
    shared: list[int] = []
    for run in rows.runs:
        numbers = [known.setdefault(context, len(known)) for context in run.batch.decoded.contexts]
        shared += [numbers[session] for session in run.sessions()]
    return list(known), shared


def _origin_columns(rows: EventRows) -> Iterator[Column]:
    """What is the same for all events of a batch."""
    runs = [(run.batch, len(run)) for run in rows.runs]
    words: dict[str, Callable[[Stored], str]] = {
        "log_id": lambda batch: batch.log_id,
        "proxy_id": lambda batch: str(batch.decoded.proxy_id),
        "proxy_epoch": lambda batch: str(batch.decoded.proxy_epoch),
        "rule_version": lambda batch: str(batch.decoded.rule_version),
    }
    for name, get in words.items():
        keys = list(dict.fromkeys(get(batch) for batch, _ in runs))
        index = _repeat(index_code(len(keys)), [(keys.index(get(batch)), count) for batch, count in runs])
        yield Column(name, WORDS, encode_dictionary([key.encode() for key in keys], len(rows), index))
    yield Column("partition", "UInt32", _repeat("I", [(batch.partition, count) for batch, count in runs]))
    yield Column("offset", "UInt64", _repeat("Q", [(batch.offset, count) for batch, count in runs]))
    seqs = [(max(0, batch.decoded.batch_seq), count) for batch, count in runs]
    yield Column("batch_seq", "UInt64", _repeat("Q", seqs))
    positions = chain.from_iterable(run.positions for run in rows.runs)
    yield Column("position", "UInt32", encode_numbers("I", positions))


def _repeat(code: str, runs: Sequence[tuple[int, int]]) -> bytes:
    return b"".join(array(code, (value,)).tobytes() * count for value, count in runs)


def _spread(values: Sequence[bytes], index: Sequence[int]) -> bytes:
    if len(values) == 1:
        return values[0] * len(index)
    return b"".join([values[i] for i in index])


def _join(pieces: Sequence[Piece], rows: int) -> bytes | Sequence[bytes]:
    """A column out of its pieces, which are of one kind."""
    if pieces and isinstance(pieces[0], Words):
        return _join_words([piece for piece in pieces if isinstance(piece, Words)], rows)
    if pieces and isinstance(pieces[0], Items):
        return _join_items([piece for piece in pieces if isinstance(piece, Items)])
    return [piece for piece in pieces if isinstance(piece, bytes)]


def _join_words(pieces: Sequence[Words], rows: int) -> bytes:
    keys: dict[bytes, int] = {}
    tables = [[keys.setdefault(key, len(keys)) for key in piece.keys] for piece in pieces]
    if len(keys) <= 1 << 8:
        # As bytes, which one call translates: a table for each number that there may be.
        index = b"".join(
            [
                bytes(piece.index).translate(bytes(table).ljust(256, b"\0"))
                for piece, table in zip(pieces, tables, strict=True)
            ]
        )
    else:
        numbers = [table[i] for piece, table in zip(pieces, tables, strict=True) for i in piece.index]
        index = array(index_code(len(keys)), numbers).tobytes()
    return encode_dictionary(list(keys), rows, index)


def _join_items(pieces: Sequence[Items]) -> Sequence[bytes]:
    """Where each row's items end, then part by part."""
    ends = encode_ends(chain.from_iterable(piece.counts for piece in pieces))
    parts = len(pieces[0].parts) if pieces else 0
    return [ends, *(piece.parts[part] for part in range(parts) for piece in pieces)]


def _encode_context(region: bytes) -> Mapping[str, Any]:
    context = read_context(region, 0)[0]
    hops = context["delegation"]
    return {
        **{name: context[name] for name in CONTEXT_WORDS},
        **{name: encode_strings([context[name]]) for name in CONTEXT_TEXTS},
        "source_port": encode_numbers("H", [min(max(context["source_port"], 0), 65_535)]),
        "opened_at": encode_numbers("q", [context["opened_at"]]),
        "delegation": (len(hops), tuple(encode_strings([hop[k] for hop in hops]) for k in ("actor", "on_behalf_of"))),
        "attributes": encode_pairs(context["attributes"]),
    }
