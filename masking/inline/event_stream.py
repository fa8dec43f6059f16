"""Masks server-sent events (text/event-stream): each event's data as one value, JSON or text, once it is whole; and
texts that come in pieces over several events (masking/inline/deltas.py)."""

import re
from typing import Final, NamedTuple

from masking.inline.deltas import DeltaHold
from masking.inline.json_stream import JsonRewriter
from masking.inline.model import Report
from masking.inline.text import TextRewriter
from masking.inline.values import ValueMasker

MAX_EVENT_BYTES: Final = 1 << 20
"""A longer event is masked as text, line by line."""

_BOM: Final = b"\xef\xbb\xbf"
_LINE: Final = re.compile(rb"([^\r\n]*)(\r\n|\n|\r)")
_FIELD: Final = re.compile(rb"([^:]*)(:? ?)(.*)", re.DOTALL)
_DATA: Final = b"data"
_KEPT: Final = frozenset({b"retry"})
_KNOWN: Final = frozenset({b"", b"data", b"event", b"id", b"retry"})


class _Frame(NamedTuple):
    """An event without its data: (name and colon, value or None for a line of data, line end) of each line."""

    lines: list[tuple[bytes, bytes | None, bytes]]
    data_lines: int
    tail: bytes


class EventRewriter:
    """A Rewriter of an event stream. Line ends and order stay; `event`, `id` and comments are masked as text."""

    def __init__(self, values: ValueMasker, report: Report, *, ascii_only: bool = False) -> None:
        self._values = values
        self._report = report
        self._ascii_only = ascii_only
        self._held = b""  # an unfinished line
        self._lines: list[tuple[bytes, bytes]] = []  # of the event under way: line and its end
        self._size = 0
        self._is_first = True
        self._hold: DeltaHold[_Frame] = DeltaHold(values, report, "data", ascii_only=ascii_only)
        self._text: TextRewriter | None = None  # for the rest of an event that is too long

    @property
    def is_holding(self) -> bool:
        """Whether whole events are held, which a pause would bring out."""
        return self._hold.is_holding

    def feed(self, data: bytes) -> bytes:
        """All whole events."""
        if b"\n" not in data and b"\r" not in data and len(self._held) + len(data) <= MAX_EVENT_BYTES:
            self._held += data
            return b""
        data = self._held + data
        out: list[bytes] = []
        position = 0
        # A line feed after a carriage return may still come.
        size = len(data) - 1 if data.endswith(b"\r") else len(data)
        while line := _LINE.match(data, position, size):
            position = line.end()
            self._take_line(line[1], line[2], out)
        self._held = data[position:]
        if len(self._held) + self._size > MAX_EVENT_BYTES:
            self._give_up(out)
        return b"".join(out)

    def flush(self) -> bytes:
        """An event is shown when it is whole; those that were held for the end of a word are, after a while."""
        out: list[bytes] = []
        self._show(self._hold.pause(), out)
        return b"".join(out)

    def finish(self) -> bytes:
        """What no blank line ended; clients ignore it."""
        out: list[bytes] = []
        if self._held:
            content = self._held.rstrip(b"\r")
            self._take_line(content, self._held[len(content) :], out)
            self._held = b""
        if self._text is not None:
            out.append(self._text.finish())
        self._end_event(out)
        self._show(self._hold.finish(), out)
        return b"".join(out)

    def _take_line(self, line: bytes, end: bytes, out: list[bytes]) -> None:
        if self._is_first:
            self._is_first = False
            if line.startswith(_BOM):
                out.append(_BOM)
                line = line[len(_BOM) :]
        if self._text is not None:
            out.append(self._text.feed(line + end))
            if not line:
                out.append(self._text.finish())
                self._text = None
            return
        if line or not end:
            self._lines.append((line, end))
            self._size += len(line) + len(end)
            return
        self._end_event(out, end)

    def _end_event(self, out: list[bytes], tail: bytes = b"") -> None:
        """`tail`: the line end that ends it."""
        lines, self._lines, self._size = self._lines, [], 0
        fields = [_FIELD.fullmatch(line) for line, _ in lines]
        parts = [(found[1], found[2], found[3]) if found else (b"", b"", b"") for found in fields]
        data = self._mask_data([value for name, _, value in parts if name == _DATA])
        shown: list[tuple[bytes, bytes | None, bytes]] = []
        for (name, colon, value), (_, end) in zip(parts, lines, strict=True):
            if name == _DATA:
                shown.append((name + colon, None, end))
                continue
            if name not in _KEPT:
                value = self._mask_text(value, name.decode("utf-8", "replace") or "comment")
                name = self._mask_text(name, "field") if name not in _KNOWN else name
            shown.append((name + colon, value, end))
        self._show(self._hold.take(_Frame(shown, len(data), tail), b"\n".join(data), is_quiet=not data), out)

    def _show(self, ready: list[tuple["_Frame", bytes]], out: list[bytes]) -> None:
        for frame, data in ready:
            values = iter(_as_lines(data, frame.data_lines))
            for head, value, end in frame.lines:
                out += (head, next(values) if value is None else value, end)
            out.append(frame.tail)

    def _mask_data(self, pieces: list[bytes]) -> list[bytes]:
        """The data lines of one event, masked as the one value that they are. As many lines come back."""
        whole = b"\n".join(pieces)
        if not whole or self._values.is_clean(whole):
            return pieces
        if whole.lstrip()[:1] in (b"{", b"[", b'"'):
            masked = JsonRewriter(self._values, self._report, "data", ascii_only=self._ascii_only).rewrite_whole(whole)
        else:
            masked = self._mask_text(whole, "data")
        return _as_lines(masked, len(pieces))

    def _mask_text(self, value: bytes, place: str) -> bytes:
        spans = self._values.find_spans(value)
        if not spans:
            return value
        masked, findings = self._values.splice(value, spans)
        self._report.add(findings, place)
        return masked.replace(b"\r", b" ")

    def _give_up(self, out: list[bytes]) -> None:
        """Too long to hold: the rest of the event is masked as text."""
        self._values.miss_columns(self._report)
        if self._text is None:
            self._show(self._hold.finish(), out)
            self._text = TextRewriter(self._values, self._report, "data")
            for line, end in self._lines:
                out.append(self._text.feed(line + end))
            self._lines, self._size = [], 0
        out.append(self._text.feed(self._held))
        self._held = b""


def _as_lines(data: bytes, count: int) -> list[bytes]:
    """As so many lines."""
    if not count:
        return []
    lines = data.split(b"\n", count - 1)
    lines[-1] = lines[-1].replace(b"\n", b" ")
    return lines + [b""] * (count - len(lines))
