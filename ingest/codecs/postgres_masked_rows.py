"""Masks DataRow messages: the rows of one result, in one go for all that have come."""

from collections.abc import Sequence
from struct import Struct
from typing import Final

from ingest.codecs.postgres_masked_values import CellMasker, Column, Put
from ingest.codecs.postgres_wire import MalformedError
from masking.inline.values import ValueMasker

_HEAD: Final = Struct("!BIH")  # type, length, count of values
_SIZE: Final = Struct("!i")
_ROW: Final = ord("D")
_NULL: Final = _SIZE.pack(-1)


def make_columns(
    values: ValueMasker, names: Sequence[str], oids: Sequence[int], formats: Sequence[int], count: int
) -> list[Column]:
    """The columns of a result. What was not described has no name and no type; one format is for all."""
    codes = list(formats) * count if len(formats) == 1 else list(formats)
    return [
        Column(
            values.name_of(names[index] if index < len(names) else ""),
            oids[index] if index < len(oids) else 0,
            is_binary=index < len(codes) and codes[index] == 1,
        )
        for index in range(count)
    ]


def count_values(buffer: bytes, pos: int) -> int:
    """How many values the DataRow at `pos` has."""
    count: int = _HEAD.unpack_from(buffer, pos)[2]
    return count


def mask_rows(cells_of: CellMasker, columns: Sequence[Column], buffer: bytes, start: int, stop: int) -> bytes | None:
    """The whole DataRow messages in buffer[start:stop], masked; None when nothing had to change.

    Raises MalformedError, struct.error.
    """
    rows: list[tuple[int, int]] = []  # first cell and count of each
    spans: list[tuple[int, int]] = []  # of each cell; NULL ends before it begins
    cells: list[tuple[Column, bytes]] = []
    places: list[int] = []  # of each cell to look at, among all
    position = start
    while position < stop:
        position = _read_row(columns, buffer, position, rows, spans, cells, places)
    if not cells:
        return None
    puts: dict[int, Put] = {
        place: put for place, put in zip(places, cells_of.mask(cells), strict=True) if put is not None
    }
    if not puts:
        return None
    return b"".join(_write_row(buffer, spans, first, count, puts) for first, count in rows)


def _read_row(
    columns: Sequence[Column],
    buffer: bytes,
    pos: int,
    rows: list[tuple[int, int]],
    spans: list[tuple[int, int]],
    cells: list[tuple[Column, bytes]],
    places: list[int],
) -> int:
    kind, length, count = _HEAD.unpack_from(buffer, pos)
    after: int = pos + 1 + length
    if kind != _ROW or after > len(buffer) or count > len(columns):
        raise MalformedError("a row that does not fit its description")
    rows.append((len(spans), count))
    pos += _HEAD.size
    for index in range(count):
        (size,) = _SIZE.unpack_from(buffer, pos)
        pos += 4
        if size > 0:
            cells.append((columns[index], buffer[pos : pos + size]))
            places.append(len(spans))
        spans.append((pos, pos + size))
        pos += max(size, 0)
    if pos != after:
        raise MalformedError("a row beyond its end")
    return after


def _write_row(buffer: bytes, spans: list[tuple[int, int]], first: int, count: int, puts: dict[int, Put]) -> bytes:
    body: list[bytes] = []
    for place in range(first, first + count):
        start, stop = spans[place]
        put = puts.get(place)
        if put is not None and put.data is not None:
            body += (_SIZE.pack(len(put.data)), put.data)
        elif put is not None or stop < start:
            body.append(_NULL)
        else:
            body += (_SIZE.pack(stop - start), buffer[start:stop])
    data = b"".join(body)
    return _HEAD.pack(_ROW, len(data) + 6, count) + data
