"""Masks DataRow messages: the rows of one result, in one go for all that have come."""

from collections.abc import Callable, Sequence
from typing import Final

from librt.strings import BytesWriter, read_i16_be, read_i32_be, write_i32_be
from mypy_extensions import i32, i64

from ingest.codecs.postgres_masked_values import CellMasker, Column, Put
from ingest.codecs.postgres_wire import MalformedError
from masking.inline.values import Name

_ROW: Final = ord("D")
_NULL: Final = -1


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


def count_values(buffer: bytes, pos: i64) -> i64:
    """How many values the DataRow at `pos` has."""
    return i64(read_i16_be(buffer, pos + 5)) & 0xFFFF


def mask_rows(cells_of: CellMasker, columns: list[Column], buffer: bytes, start: i64, stop: i64) -> bytes | None:
    """The whole DataRow messages in buffer[start:stop], masked; None when nothing had to change.

    Raises MalformedError, IndexError.
    """
    found: list[Column] = []
    raws: list[bytes] = []
    places: list[int] = []  # where in the buffer each of them begins
    pos: i64 = start
    described: i64 = len(columns)
    while pos < stop:
        after: i64 = pos + 1 + i64(read_i32_be(buffer, pos + 1))
        count: i64 = count_values(buffer, pos)
        if buffer[pos] != _ROW or after <= pos or after > stop or count > described:
            raise MalformedError("a row that does not fit its description")
        pos += 7
        index: i64 = 0
        while index < count:
            size: i64 = i64(read_i32_be(buffer, pos))
            pos += 4
            if size > 0:
                column = columns[index]
                if size >= column.min_bytes:
                    found.append(column)
                    raws.append(buffer[pos : pos + size])
                    places.append(pos)
                pos += size
            index += 1
        if pos != after:
            raise MalformedError("a row beyond its end")
    puts = cells_of.find_puts(found, raws) if raws else None
    if not puts:
        return None
    return _write_rows(buffer, start, stop, {places[index]: put for index, put in puts.items()})


def _write_rows(buffer: bytes, start: i64, stop: i64, puts: dict[int, Put]) -> bytes:
    """The rows with what stands for some of their values, in their order; the others as they are."""
    out = BytesWriter()
    changed = list(puts)
    pos: i64 = start
    kept: i64 = start  # from here on nothing is written yet
    index: i64 = 0
    count: i64 = len(changed)
    while index < count:
        after: i64 = pos + 1 + i64(read_i32_be(buffer, pos + 1))
        while after <= changed[index]:
            pos = after
            after = pos + 1 + i64(read_i32_be(buffer, pos + 1))
        first = index
        length: i64 = after - pos - 1
        while index < count and changed[index] < after:
            length += _growth(buffer, changed[index], puts[changed[index]].data)
            index += 1
        out.write(buffer[kept : pos + 1])
        write_i32_be(out, i32(length))
        kept = _write_values(out, buffer, pos + 5, changed[first:index], puts)
        pos = after
    out.write(buffer[kept:stop])
    return out.getvalue()


def _growth(buffer: bytes, place: i64, data: bytes | None) -> i64:
    size: i64 = len(data) if data is not None else 0
    return size - i64(read_i32_be(buffer, place - 4))


def _write_values(out: BytesWriter, buffer: bytes, kept: i64, places: list[int], puts: dict[int, Put]) -> i64:
    """What stands for some values of one row, and what is before them from `kept` on. What follows the last one."""
    for place in places:
        data = puts[place].data
        out.write(buffer[kept : place - 4])
        write_i32_be(out, i32(len(data)) if data is not None else _NULL)
        if data is not None:
            out.write(data)
        kept = i64(place) + i64(read_i32_be(buffer, place - 4))
    return kept
