"""Masks what a COPY in binary form sends to the client, value by value, whatever the CopyData messages cut.

The form says neither names nor types. Names come from the statement. A value is taken for what its bytes can be: text,
JSON, a number, an address; one that can be none of these cannot be read, and goes unless policy would rather have it
relayed. What is masked in text becomes a token, all else NULL, which is right in every type.
"""

from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple

from ingest.codecs.postgres_masked_values import CellMasker, Column, Put
from ingest.codecs.postgres_types import TEXTUAL, decoder
from masking.inline.model import Report, Unreadable
from masking.inline.values import NAMELESS, Name, ValueMasker
from masking.payload import decode_payload
from policy.postgres_copy import CopyForm

MAX_RECORD_BYTES: Final = 16 << 20
SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0"
_HEAD: Final = Struct("!II")  # flags, length of the header's extension
_COUNT: Final = Struct("!h")
_SIZE: Final = Struct("!i")
_NULL: Final = _SIZE.pack(-1)
_TEXTS, _JSONB, _UUID, _INET, _NUMERIC, _FLOAT8, _TEXT, _UNKNOWN = 1009, 3802, 2950, 869, 1700, 701, 25, 0
_INTEGERS: Final = {2: 21, 4: 23, 8: 20}
_WIDEST: Final = 8
_MOST: Final = 10**17
"""Beyond this eight bytes are a floating-point number rather than a count, a time or a card's number."""


class _Record(NamedTuple):
    """Where a record lies, and its values: offset and size (-1: NULL) of each."""

    start: int
    stop: int
    fields: list[tuple[int, int]]


class BinaryCopyMask:
    """One COPY to the client. Feed it the data of the messages; whole records come out, the first with the header
    before it, as servers send it and clients expect it. Raises Unreadable when the data is not of the form, or a
    record too long."""

    def __init__(
        self,
        values: ValueMasker,
        report: Report,
        form: CopyForm,
        encoding: str,
        name_of: Callable[[str], Name] | None = None,
    ) -> None:
        name_of = name_of or values.name_of
        self._cells = CellMasker(values, report, encoding)
        self._names = [name_of(name) for name in form.columns]
        self._columns: dict[tuple[int, int], Column] = {}
        self._held = self._header = b""
        self._is_begun = self._is_over = False
        if values.order.columns and not form.columns:
            report.unread = "the columns of a COPY that names none are not known"

    def feed(self, data: bytes) -> list[bytes]:
        """The records that are whole, masked; the trailer counts as one."""
        data, pos = self._held + data, 0
        if not self._is_begun:
            pos = self._take_header(data)
            if not pos:
                return self._hold(data)
            self._header = data[:pos]
        records: list[_Record] = []
        while (record := self._take_record(data, pos)) is not None:
            records.append(record)
            pos = record.stop
        out = self._mask(data, records)
        self._hold(data[pos:])
        if out and self._header:
            out[0], self._header = self._header + out[0], b""
        return out

    def finish(self) -> list[bytes]:
        """What is left is no record."""
        if self._held:
            raise Unreadable("a COPY in binary form breaks off within a row")
        return []

    # -- the form

    def _hold(self, rest: bytes) -> list[bytes]:
        if len(rest) > MAX_RECORD_BYTES:
            raise Unreadable("a row is too long to be masked")
        self._held = rest
        return []

    def _take_header(self, data: bytes) -> int:
        """Where the header ends; 0 when it has not come whole."""
        if not data.startswith(SIGNATURE[: len(data)]):
            raise Unreadable("the data of a COPY is not in the form that it should have")
        size = len(SIGNATURE) + _HEAD.size
        if len(data) < size:
            return 0
        flags, extension = _HEAD.unpack_from(data, len(SIGNATURE))
        if flags & 0xFFFF0000 or extension > MAX_RECORD_BYTES:  # critical flags: another layout of rows
            raise Unreadable("a COPY in a binary form that is not known")
        if len(data) < size + extension:
            return 0
        self._is_begun = True
        return size + int(extension)

    def _take_record(self, data: bytes, start: int) -> _Record | None:
        """The record there, or the trailer. None: it has not come whole."""
        pos = start
        if len(data) - pos < _COUNT.size:
            return None
        if self._is_over:
            raise Unreadable("a COPY in binary form goes on after its end")
        (count,) = _COUNT.unpack_from(data, pos)
        if count < 0:
            self._is_over = True
            return _Record(start, pos + _COUNT.size, [])
        fields: list[tuple[int, int]] = []
        pos += _COUNT.size
        for _ in range(count):
            if len(data) - pos < _SIZE.size:
                return None
            (size,) = _SIZE.unpack_from(data, pos)
            pos += _SIZE.size
            if size > MAX_RECORD_BYTES or size < -1:
                raise Unreadable("a row is too long to be masked")
            fields.append((pos, size))
            pos += max(size, 0)
            if pos > len(data):
                return None
        return _Record(start, pos, fields)

    # -- values

    def _mask(self, data: bytes, records: list[_Record]) -> list[bytes]:
        cells: list[tuple[Column, bytes]] = []
        places: list[int] = []
        for record in records:
            for index, (pos, size) in enumerate(record.fields):
                if size > 0:
                    raw = data[pos : pos + size]
                    column = self._column_for(index, raw)
                    if column is not None:
                        cells.append((column, raw))
                        places.append(pos)
        puts = self._cells.mask(cells) if cells else []
        masked = {place: put for place, put in zip(places, puts, strict=True) if put is not None}
        return [_write(data, record, masked) for record in records]

    def _column_for(self, index: int, raw: bytes) -> Column | None:
        """What a value is looked at as; None: nothing of this size is secret."""
        name = self._names[index] if index < len(self._names) else NAMELESS
        if len(raw) <= 2 and not name.is_column:
            return None
        oid = type_of(raw, is_telling=name.is_column or name.named is not None)
        column = self._columns.get((index, oid))
        if column is None:
            column = self._columns[index, oid] = Column(name, oid, is_binary=True)
        return column


def type_of(raw: bytes, *, is_telling: bool = False) -> int:
    """The type whose values may look like this. What may be a number is no text, as no token would fit there;
    `is_telling`: the column's name tells that it is secret, so that the shortest text counts."""
    size = len(raw)
    text, kind = decode_payload(raw)
    is_text = text is not None and kind == "utf-8"
    if size in _INTEGERS:
        if is_text and (size == _WIDEST or is_telling):
            return _UNKNOWN
        if _is_inet(raw):
            return _INET
        return _FLOAT8 if size == _WIDEST and abs(int.from_bytes(raw, signed=True)) >= _MOST else _INTEGERS[size]
    if is_text:
        return _JSONB if raw[:2] in (b"\x01{", b"\x01[") else _TEXT
    if raw[:2] in (b"\x01{", b"\x01[") and decode_payload(raw[1:])[1] == "utf-8":
        return _JSONB
    if size == 16 and 1 <= raw[6] >> 4 <= 8 and raw[8] >> 6 == 2:
        return _UUID
    if _is_inet(raw):
        return _INET
    if size >= 20 and raw[:3] == b"\0\0\0" and raw[3] <= 6 and int.from_bytes(raw[8:12]) in TEXTUAL:
        return _TEXTS
    return _NUMERIC if _is_numeric(raw) else _UNKNOWN


def _is_inet(raw: bytes) -> bool:
    return raw[0] in (2, 3) and raw[1] <= 128 and raw[2] <= 1 and raw[3] in (4, 16) and len(raw) == 4 + raw[3]


def _is_numeric(raw: bytes) -> bool:
    decode = decoder(_NUMERIC)
    if decode is None or len(raw) < _WIDEST or len(raw) != _WIDEST + 2 * int.from_bytes(raw[:2]):
        return False
    try:
        decode(raw)
    except (ValueError, StructError, IndexError, OverflowError):
        return False
    return True


def _write(data: bytes, record: _Record, masked: dict[int, Put]) -> bytes:
    """A record with what stands for some of its values."""
    out: list[bytes] = []
    start = record.start
    for pos, size in record.fields:
        put = masked.get(pos)
        if put is not None:
            out += (data[start : pos - _SIZE.size], _NULL if put.data is None else _SIZE.pack(len(put.data)) + put.data)
            start = pos + size
    out.append(data[start : record.stop])
    return b"".join(out)
