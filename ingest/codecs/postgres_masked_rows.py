"""Masks DataRow messages: the rows of one result, in one go for all that have come."""

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Final

from librt.strings import read_i16_be, read_i32_be

from ingest.codecs.postgres_masked_values import CellMasker, Column, Put
from ingest.codecs.postgres_wire import MalformedError
from masking.inline.values import Name

_HEAD: Final = Struct("!BIH")  # type, length, count of values
_SIZE: Final = Struct("!i")
_ROW: Final = ord("D")
_NULL: Final = _SIZE.pack(-1)


def make_columns(
    name_of: Callable[[str], Name], names: Sequence[str], oids: Sequence[int], formats: Sequence[int], count: int
) -> list[Column]:
    """The columns of a result. What was not described has no name and no type; one format is for all."""
    codes = list(formats) * count if len(formats) == 1 else list(formats)
    return [
        Column(
            name_of(names[index] if index < len(names) else ""),
            oids[index] if index < len(oids) else 0,
            is_binary=index < len(codes) and codes[index] == 1,
        )
        for index in range(count)
    ]


def count_values(buffer: bytes, pos: int) -> int:
    """How many values the DataRow at `pos` has."""
    return int(read_i16_be(buffer, pos + 5)) & 0xFFFF


def mask_rows(cells_of: CellMasker, columns: list[Column], buffer: bytes, start: int, stop: int) -> bytes | None:
    """The whole DataRow messages in buffer[start:stop], masked; None when nothing had to change.

    Raises MalformedError, IndexError.
    """
    found: list[Column] = []
    raws: list[bytes] = []
    places: list[int] = []  # where in the buffer each of them begins
    pos = start
    while pos < stop:
        after: int = pos + 1 + read_i32_be(buffer, pos + 1)
        count = count_values(buffer, pos)
        if buffer[pos] != _ROW or after <= pos or after > stop or count > len(columns):
            raise MalformedError("a row that does not fit its description")
        pos += 7
        for index in range(count):
            size: int = read_i32_be(buffer, pos)
            pos += 4
            if size > 0:
                column = columns[index]
                if size >= column.min_bytes:
                    found.append(column)
                    raws.append(buffer[pos : pos + size])
                    places.append(pos)
                pos += size
        if pos != after:
            raise MalformedError("a row beyond its end")
    puts = cells_of.find_puts(found, raws) if raws else None
    if not puts:
        return None
    return _write_rows(buffer, start, stop, {places[index]: put for index, put in puts.items()})


def _write_rows(buffer: bytes, start: int, stop: int, puts: dict[int, Put]) -> bytes:
    """The rows with what stands for some of their values; the others as they are."""
    out: list[bytes] = []
    changed = sorted(puts)
    pos = kept = start  # from `kept` on nothing is written yet
    index, count = 0, len(changed)
    while index < count:
        after: int = pos + 1 + read_i32_be(buffer, pos + 1)
        while after <= changed[index]:
            pos = after
            after = pos + 1 + read_i32_be(buffer, pos + 1)
        first = index
        while index < count and changed[index] < after:
            index += 1
        here = changed[first:index]
        out += (buffer[kept:pos], _write_row(buffer, pos + 7, after, count_values(buffer, pos), here, puts))
        pos = kept = after
    out.append(buffer[kept:stop])
    return b"".join(out)


def _write_row(buffer: bytes, pos: int, after: int, count: int, places: list[int], puts: dict[int, Put]) -> bytes:
    body: list[bytes] = []
    for place in places:
        data = puts[place].data
        size: int = read_i32_be(buffer, place - 4)
        body += (buffer[pos : place - 4], _NULL if data is None else _SIZE.pack(len(data)) + data)
        pos = place + size
    body.append(buffer[pos:after])
    row = b"".join(body)
    return _HEAD.pack(_ROW, len(row) + 6, count) + row
