"""Where the records of a COPY to the client end, whatever the CopyData messages cut."""

import re
from struct import Struct
from typing import Final, Protocol

from ingest.codecs.postgres_wire import MalformedError, WithheldError
from policy.postgres_copy import CopyForm

_HEAD_BYTES: Final = 19  # signature, flags, length of the extension
_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0"
_TRAILER: Final = b"\xff\xff"
_COUNT: Final = Struct("!h")
_LENGTH: Final = Struct("!i")
_SAFE: Final = frozenset({"utf-8", "ascii", "latin-1"})
"""Encodings in which no ASCII byte is part of another character."""


class Records(Protocol):
    """The records of one COPY."""

    def take(self, data: bytes, room: int) -> tuple[int, int]:
        """(records that end in the next piece of data, where at most `room` of them end). Raises MalformedError."""

    def finish(self) -> bytes:
        """What must follow so that what passed is whole."""


def records_of(form: CopyForm, encoding: str) -> Records:
    """Raises WithheldError for a form whose records cannot be told apart."""
    if form.format == "binary":
        return BinaryRecords()
    if form.format == "text":
        return LineRecords(has_header=form.has_header)
    quote, escape = form.quote.encode(), (form.escape or form.quote).encode()
    if encoding not in _SAFE and max(quote + escape) >= 0x30:
        raise WithheldError(f"the records of a COPY in {encoding} with this quote cannot be told apart")
    return LineRecords(has_header=form.has_header, quote=quote, escape=escape)


class LineRecords:
    """Text, and with a quote CSV. A header is no record."""

    def __init__(self, *, has_header: bool, quote: bytes = b"", escape: bytes = b"") -> None:
        self._quote = quote
        marks = [re.escape(quote), rb"\n"] if quote else [rb"\n"]
        if quote and escape != quote:
            marks.insert(0, re.escape(escape) + rb"[" + re.escape(quote) + re.escape(escape) + rb"]")
            self._escape = escape
        else:
            self._escape = b""
        self._marks = re.compile(b"|".join(marks))
        self._is_quoted = False
        self._header_left = int(has_header)
        self._held = b""  # an escape at the end of the last piece

    def take(self, data: bytes, room: int) -> tuple[int, int]:
        room += self._header_left
        count, cut = 0, 0 if room <= 0 else len(data)
        shift = len(self._held)
        text = self._held + data
        self._held = b""
        if self._escape and (len(text) - len(text.rstrip(self._escape))) % 2:
            text, self._held = text[:-1], self._escape
        for mark in self._marks.finditer(text):
            found = mark[0]
            if found == self._quote:
                self._is_quoted = not self._is_quoted
            elif found == b"\n" and not self._is_quoted:
                count += 1
                if count == room:
                    cut = mark.end() - shift
        headers = min(count, self._header_left)
        self._header_left -= headers
        return count - headers, cut

    def finish(self) -> bytes:
        return b""


class BinaryRecords:
    """The binary form: a head, tuples of sized fields, a trailer."""

    def __init__(self) -> None:
        self._partial = b""
        self._wanted = _HEAD_BYTES
        self._skip = 0
        self._fields = -1  # of the present tuple; -1: the head, or its count, is next
        self._is_begun = False
        self._is_over = False
        self._has_trailer = False

    def take(self, data: bytes, room: int) -> tuple[int, int]:
        count, pos, size = 0, 0, len(data)
        cut = 0 if room <= 0 else size
        while pos < size and not self._is_over:
            if self._skip:
                step = min(self._skip, size - pos)
                self._skip -= step
                pos += step
            else:
                step = min(self._wanted - len(self._partial), size - pos)
                self._partial += data[pos : pos + step]
                pos += step
                if len(self._partial) < self._wanted:
                    break
                piece, self._partial = self._partial, b""
                self._read(piece)
            if self._is_over:
                self._has_trailer = cut >= pos
            elif self._fields == 0 and not self._skip:
                self._fields, self._wanted = -1, _COUNT.size
                count += 1
                if count == room:
                    cut = pos
        if self._is_over and pos < size:
            raise MalformedError("binary copy data behind its end")
        return count, cut

    def finish(self) -> bytes:
        return b"" if self._has_trailer else _TRAILER

    def _read(self, piece: bytes) -> None:
        """The head, a tuple's count, or a field's length."""
        if not self._is_begun:
            if not piece.startswith(_SIGNATURE):
                raise MalformedError("binary copy data without its signature")
            self._is_begun = True
            self._skip, self._wanted = _positive(_LENGTH.unpack_from(piece, 15)[0]), _COUNT.size
        elif self._fields < 0:
            (count,) = _COUNT.unpack(piece)
            self._is_over = count == -1
            self._fields = 0 if self._is_over else _positive(count)
            self._wanted = _LENGTH.size
        else:
            (length,) = _LENGTH.unpack(piece)
            self._fields -= 1
            self._skip = 0 if length == -1 else _positive(length)


def _positive(number: int) -> int:
    if number < 0:
        raise MalformedError("a negative length in binary copy data")
    return number
