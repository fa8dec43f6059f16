"""Masks what a COPY sends to the client: text and CSV, field by field, whatever the CopyData messages cut.

The protocol says neither names nor types of the fields. Names come from the statement or from the header line; what
looks like a number is one. The binary form: postgres_masked_binary_copy.py.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from masking.inline.model import Report, Unreadable
from masking.inline.values import NAMELESS, Name, ValueMasker
from masking.model import Finding
from policy.postgres_copy import CopyForm, copy_forms

MAX_RECORD_BYTES: Final = 16 << 20
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_UNESCAPE: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPE: Final = {value: name for name, value in _UNESCAPE.items()}
_BACKSLASH: Final = re.compile(r"\\(.)", re.DOTALL)
_ERRORS: Final = "surrogateescape"


def check_copies(values: ValueMasker, statement: str) -> list[CopyForm]:
    """The forms of the COPYs in a statement. Raises Unreadable when one of them cannot be masked as ordered."""
    forms = copy_forms(statement)
    if forms is None:
        raise Unreadable("the statement is not understood, so the form of its rows is not known")
    order = values.order
    for form in forms if order.is_strict else ():
        if order.columns and not (form.columns or form.has_header):
            raise Unreadable("a COPY without a header does not say its columns: name them, or use HEADER")
        if form.format != "binary" and ":" in form.delimiter + form.quote:
            raise Unreadable("a COPY whose delimiter stands in tokens cannot be masked")
    return forms


class CopyMask:
    """One COPY to the client. Feed it the data of the messages; whole records come out."""

    def __init__(
        self,
        values: ValueMasker,
        report: Report,
        form: CopyForm,
        encoding: str,
        name_of: Callable[[str], Name] | None = None,
    ) -> None:
        name_of = name_of or values.name_of
        self._values = values
        self._report = report
        self._form = form
        self._encoding = encoding
        self._is_csv = form.format == "csv"
        self._null = form.null if form.null is not None else ("" if self._is_csv else "\\N")
        self._name_of = name_of
        self._names = [name_of(name) for name in form.columns]
        self._has_header = form.has_header
        self._held = ""
        if values.order.columns and not (form.columns or form.has_header):
            report.unread = "the columns of a COPY without a header are not known"
        quote = re.escape(form.quote)
        escape = re.escape(form.escape or form.quote)
        self._quoted = re.compile(f"{quote}((?:{escape}[{quote}{escape}]|[^{quote}])*){quote}", re.DOTALL)
        self._escaped = re.compile(f"{escape}([{quote}{escape}])")

    def feed(self, data: bytes) -> list[bytes]:
        """The records that are whole, masked. Raises Unreadable when one is too long."""
        text = self._held + data.decode(self._encoding, _ERRORS)
        end = self._end_of_records(text)
        self._held = text[end:]
        if len(self._held) > MAX_RECORD_BYTES:
            raise Unreadable("a row is too long to be masked")
        return self._mask(text[:end]) if end else []

    def finish(self) -> list[bytes]:
        """What no line end closed."""
        rest, self._held = self._held, ""
        return self._mask(rest) if rest else []

    # -- records

    def _end_of_records(self, text: str) -> int:
        end = text.rfind("\n") + 1
        if not self._is_csv:
            return end
        while end and not self._is_balanced(text, end):
            end = text.rfind("\n", 0, end - 1) + 1
        return end

    def _is_balanced(self, text: str, end: int) -> bool:
        """Whether no quoted field is open there."""
        quote, escape = self._form.quote, self._form.escape or self._form.quote
        count = text.count(quote, 0, end)
        if escape != quote:
            count -= len(re.findall(re.escape(escape + quote), text[:end]))
        return count % 2 == 0

    def _mask(self, text: str) -> list[bytes]:
        records, ends = self._split_csv(text) if self._is_csv else self._split_text(text)
        cells: list[tuple[int, int]] = []
        contents: list[bytes] = []
        names: list[Name] = []
        for number, record in enumerate(records):
            if self._has_header:
                self._has_header = False
                self._names = [self._name_of(self._read(raw)) for raw in record]
                continue
            for index, raw in enumerate(record):
                if raw != self._null and raw:
                    cells.append((number, index))
                    contents.append(self._read(raw).encode("utf-8", _ERRORS))
                    names.append(self._names[index] if index < len(self._names) else NAMELESS)
        outcomes = self._values.mask_values(contents, names, [name.is_column for name in names])
        for (number, index), content, outcome, name in zip(cells, contents, outcomes, names, strict=True):
            if outcome is not None and outcome.findings:
                shown = self._write(content, outcome.data, covers=_covers(outcome.findings, len(content)))
                if shown is not None:
                    self._report.add(outcome.findings, name.text or f"column {index + 1}")
                    records[number][index] = shown
        join = self._form.delimiter.join
        return [self._encode(join(record) + end) for record, end in zip(records, ends, strict=True)]

    def _encode(self, text: str) -> bytes:
        try:
            return text.encode(self._encoding, _ERRORS)
        except UnicodeEncodeError:
            return text.replace("‹", "<").replace("›", ">").encode(self._encoding, "replace")

    @staticmethod
    def _lines(text: str) -> list[tuple[str, str]]:
        """(line, its end) of every line."""
        lines: list[tuple[str, str]] = []
        for line in re.findall(r"[^\n]*\n|[^\n]+", text):
            body = line.removesuffix("\n").removesuffix("\r")
            lines.append((body, line[len(body) :]))
        return lines

    def _split_text(self, text: str) -> tuple[list[list[str]], list[str]]:
        lines = self._lines(text)
        return [line.split(self._form.delimiter) for line, _ in lines], [end for _, end in lines]

    def _split_csv(self, text: str) -> tuple[list[list[str]], list[str]]:
        records: list[list[str]] = [[]]
        ends: list[str] = []
        position, size, delimiter = 0, len(text), self._form.delimiter
        while position < size:
            quoted = self._quoted.match(text, position)
            stop = quoted.end() if quoted else position
            while stop < size and text[stop] not in (delimiter, "\n"):
                stop += 1
            raw = text[position:stop]
            end = "\r" if raw.endswith("\r") and not quoted else ""
            records[-1].append(raw.removesuffix(end) if end else raw)
            if stop < size and text[stop] == delimiter:
                position = stop + 1
                if position == size:
                    records[-1].append("")
                continue
            ends.append(end + text[stop : stop + 1])
            position = stop + 1
            if position < size:
                records.append([])
        if len(ends) < len(records):
            ends.append("")
        return records, ends

    # -- fields

    def _read(self, raw: str) -> str:
        if not self._is_csv:
            return _BACKSLASH.sub(lambda found: _UNESCAPE.get(found[1], found[1]), raw) if "\\" in raw else raw
        quoted = self._quoted.fullmatch(raw)
        return self._escaped.sub(r"\1", quoted[1]) if quoted else raw

    def _write(self, content: bytes, masked: bytes, *, covers: bool) -> str | None:
        """The field for a masked value; None: it stays, being a number of which only digits were found."""
        if _NUMBER.fullmatch(content.decode("utf-8", _ERRORS)):
            if not covers:
                return None
            return "0" if self._values.order.has_stand_ins else self._null
        text = masked.decode("utf-8", _ERRORS)
        if self._is_csv:
            quote, escape = self._form.quote, self._form.escape or self._form.quote
            body = text.replace(escape, escape + escape) if escape != quote else text
            return quote + body.replace(quote, escape + quote) + quote
        delimiter = self._form.delimiter
        escaped = "".join(
            f"\\{_ESCAPE[c]}" if c in _ESCAPE else f"\\{c}" if c in ("\\", delimiter) else c for c in text
        )
        return escaped


def _covers(findings: Sequence[Finding], size: int) -> bool:
    return len(findings) == 1 and (findings[0].start, findings[0].end) == (0, size)
