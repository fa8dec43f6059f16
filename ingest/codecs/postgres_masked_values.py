"""Masks values of PostgreSQL result columns, each in its type and form: text and JSON keep what is not secret, other
types become NULL or their zero."""

import re
from collections.abc import Sequence
from struct import error as StructError
from struct import pack, unpack_from
from typing import Final

from ingest.codecs.postgres_stand_ins import NUMBERS, stand_in
from ingest.codecs.postgres_types import ARRAYS, TEXTUAL, Decode, decoder
from masking.inline.json_stream import JsonRewriter
from masking.inline.json_text import encode_string
from masking.inline.model import Report
from masking.inline.values import MIN_SECRET_BYTES, NAMELESS, Name, ValueMasker
from masking.model import Finding, MaskedBytes
from masking.payload import decode_payload
from masking.prefilter import Candidates

TEXT, JSON, TEXTS, BYTES, TYPED, UNKNOWN = range(6)
UNREADABLE: Final = "unreadable"
"""The label of a value that could not be read, and so was masked whole."""

_PLAIN: Final = (TEXT, TYPED, BYTES)
_OPENERS: Final = (b"{", b"[")
_JSON_OIDS: Final = (114, 3802)
_JSONB: Final = 3802
_BYTEA: Final = 17
_CHAR: Final = 18
_TEXT_ARRAYS: Final = frozenset((143, 199, 1002, 1003, 1009, 1014, 1015, 1263, 3807))
_ELEMENT: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"|[^{},"\\]+', re.DOTALL)
_BACKSLASH: Final = re.compile(rb"\\(.)", re.DOTALL)
_SPECIAL: Final = re.compile(rb'(["\\])')
_OCTAL: Final = re.compile(rb"\\(?:([0-7]{3})|\\)")


class Column:
    """One result column: its type, form and name, and how its values are read."""

    __slots__ = (
        "decode",
        "is_binary",
        "is_calm",
        "is_legible",
        "is_telling",
        "is_whole",
        "kind",
        "min_bytes",
        "name",
        "oid",
        "signature",
    )

    def __init__(self, name: Name, oid: int, *, is_binary: bool) -> None:
        self.name = name
        self.oid = oid
        self.is_binary = is_binary
        # All that the outcome of a value depends on, but for the value itself.
        self.signature = (name.text, name.named, name.is_column, oid, is_binary)
        self.is_whole = name.is_column
        self.decode: Decode | None = decoder(oid) if is_binary else None
        self.kind = _kind_of(oid)
        # Shorter values are no secret but by their name; of a binary number nothing can be said by its size.
        self.is_telling = name.is_column or name.named is not None
        is_short = self.is_telling or (is_binary and self.kind not in (TEXT, JSON))
        self.min_bytes = 1 if is_short else MIN_SECRET_BYTES
        # Of a client that reads UTF-8 the bytes are the text.
        self.is_legible = (self.kind in (TEXT, JSON) and oid != _JSONB) if is_binary else self.kind != BYTES
        # Its values hold no keys, unless one looks like JSON.
        self.is_calm = not self.is_telling and self.kind in _PLAIN


class Put:
    """What stands in the place of a value: bytes, or None for NULL."""

    __slots__ = ("data",)

    def __init__(self, data: bytes | None) -> None:
        self.data = data


def _kind_of(oid: int) -> int:
    if oid in _JSON_OIDS:
        return JSON
    if oid == _BYTEA:
        return BYTES
    if oid in TEXTUAL and oid != _CHAR:
        return TEXT
    if oid in _TEXT_ARRAYS:
        return TEXTS
    return TYPED if decoder(oid) is not None else UNKNOWN


class CellMasker:
    """Masks cells of one answer. `encoding` is Python's name of the client's; text is masked as UTF-8."""

    def __init__(self, values: ValueMasker, report: Report, encoding: str) -> None:
        self._values = values
        self._report = report
        self._encoding = encoding

    def mask(self, cells: Sequence[tuple[Column, bytes]]) -> list[Put | None]:
        """What to put for each cell; None: it stays as it is."""
        puts = self.find_puts([column for column, _ in cells], [raw for _, raw in cells])
        return [puts.get(index) for index in range(len(cells))]

    def find_puts(self, columns: list[Column], raws: list[bytes]) -> dict[int, Put]:
        """What to put for some of the cells, by index: the others stay as they are. Both lists have one length."""
        values = self._values
        is_utf8, has_keys = self._encoding == "utf-8", values.has_key_names
        contents: list[bytes] = []
        unread: set[int] = set()
        due: set[int] = set()  # whatever the scan says
        for index in range(len(raws)):
            column, raw = columns[index], raws[index]
            content = raw if is_utf8 and column.is_legible else self._read(column, raw)
            if content is None:
                unread.add(index)
                content = b""
            elif column.is_telling or (has_keys and (not column.is_calm or content[:1] in _OPENERS)):
                due.add(index)
            contents.append(content)
        found = values.candidates_in(contents)
        puts: dict[int, Put] = {}
        for index in sorted(due.union(unread, found)):
            put = self._find_put(
                columns[index], raws[index], None if index in unread else contents[index], found.get(index)
            )
            if put is not None:
                puts[index] = put
        return puts

    def _find_put(self, column: Column, raw: bytes, content: bytes | None, candidates: Candidates | None) -> Put | None:
        outcome = None
        if content is not None and (candidates is not None or column.is_telling):
            outcome = self._values.mask_found(content, column.name, column.is_whole, candidates)
        return self._put(column, raw, content, outcome)

    # -- reading

    def _read(self, column: Column, raw: bytes) -> bytes | None:
        """A value as UTF-8 text; None when it cannot be read."""
        if column.kind == BYTES:
            return self._read_bytes(column, raw)
        if not column.is_binary:
            return raw if self._encoding == "utf-8" else raw.decode(self._encoding, "backslashreplace").encode()
        if column.oid == _JSONB:
            return raw[1:]
        if column.kind in (TEXT, JSON):
            return self._read_text(raw)
        if column.decode is not None:
            try:
                return column.decode(raw).encode()
            except (ValueError, StructError, IndexError, OverflowError):
                return None
        text, kind = decode_payload(raw)
        return self._read_text(raw) if text is not None and kind == "utf-8" else None

    def _read_text(self, raw: bytes) -> bytes:
        return raw if self._encoding == "utf-8" else raw.decode(self._encoding, "backslashreplace").encode()

    @staticmethod
    def _read_bytes(column: Column, raw: bytes) -> bytes | None:
        data = raw if column.is_binary else _unquote_bytea(raw)
        if not data:
            return b""
        text, kind = decode_payload(data)
        return data if text is not None and kind == "utf-8" else None

    # -- writing

    def _put(self, column: Column, raw: bytes, content: bytes | None, outcome: MaskedBytes | None) -> Put | None:
        if content is None:
            return self._put_unreadable(column, raw)
        if column.is_whole:
            return self._put_whole(column, raw, outcome)
        if column.kind == JSON:
            return self._put_json(column, content)
        if column.kind == TEXTS:
            return self._put_array(column, raw, content, outcome)
        if content[:1] in (b"{", b"[") and column.kind == TEXT:
            inner = self._put_json(column, content, depth=1)
            if inner is not None:
                return inner
        if outcome is None or not outcome.findings:
            return None
        if column.oid in NUMBERS and not _covers(outcome.findings, len(content)):
            return None
        self._report.add(outcome.findings, column.name.text)
        if column.kind == TEXT or (column.kind == UNKNOWN and not column.is_binary):
            return Put(self._write_text(outcome.data))
        if column.kind == BYTES:
            return Put(outcome.data if column.is_binary else b"\\x" + outcome.data.hex().encode())
        return self._put_typed(column, raw)

    def _put_whole(self, column: Column, raw: bytes, outcome: MaskedBytes | None) -> Put | None:
        if outcome is None or not outcome.findings:
            return None  # empty
        self._report.add(outcome.findings, column.name.text)
        if column.kind == TEXT:
            return Put(self._write_text(outcome.data))
        if column.kind == JSON:
            return Put(self._write_json(column, encode_string(outcome.data, ascii_only=self._encoding != "utf-8")))
        return self._put_typed(column, raw)

    def _put_typed(self, column: Column, raw: bytes) -> Put:
        if not self._values.order.has_stand_ins:
            return Put(None)
        return Put(stand_in(column.oid, raw, is_binary=column.is_binary, is_array=column.oid in ARRAYS))

    def _put_unreadable(self, column: Column, raw: bytes) -> Put | None:
        """Nothing is known of a value: it goes, unless policy would rather have it relayed."""
        if not self._values.order.is_strict and not column.is_whole:
            self._report.unread = "values of some columns cannot be read"
            return None
        masked = self._values.mask_whole(raw.hex().encode(), NAMELESS, is_plain=True)
        token = masked.findings[0].token if masked is not None else ""
        self._report.add((Finding(UNREADABLE, token, 0, len(raw)),), column.name.text)
        return self._put_typed(column, raw)

    def _put_json(self, column: Column, content: bytes, depth: int = 0) -> Put | None:
        if self._values.is_clean(content) and column.name.named is None:
            return None
        before = self._report.total
        rewriter = JsonRewriter(
            self._values,
            self._report,
            column.name.text,
            ascii_only=self._encoding != "utf-8",
            depth=max(depth, 1),
            name=column.name,
        )
        masked = rewriter.feed(content) + rewriter.finish()
        if self._report.total == before:
            return None
        return Put(self._write_json(column, masked) if depth == 0 else self._write_text(masked))

    def _write_text(self, data: bytes) -> bytes:
        if self._encoding == "utf-8":
            return data
        text = data.decode("utf-8", "replace")
        try:
            return text.encode(self._encoding)
        except UnicodeEncodeError:
            return text.replace("‹", "<").replace("›", ">").encode(self._encoding, "replace")

    def _write_json(self, column: Column, data: bytes) -> bytes:
        return b"\x01" + data if column.is_binary and column.oid == _JSONB else self._write_text(data)

    # -- arrays of texts

    def _put_array(self, column: Column, raw: bytes, content: bytes, outcome: MaskedBytes | None) -> Put | None:
        if outcome is None and column.name.named is None and self._values.is_clean(content):
            return None
        before = self._report.total
        try:
            masked = self._binary_array(column, raw) if column.is_binary else self._text_array(column, content)
        except (StructError, ValueError):
            return self._put_unreadable(column, raw)
        return Put(masked) if self._report.total > before else None

    def _text_array(self, column: Column, content: bytes) -> bytes:
        bounds, equals, body = content.rpartition(b"={")
        if equals and bounds[:1] == b"[":  # [2:3]={a,b}
            return bounds + b"=" + self._text_array(column, b"{" + body)

        def mask(found: re.Match[bytes]) -> bytes:
            quoted = found[1]
            element = found[0] if quoted is None else _BACKSLASH.sub(rb"\1", quoted)
            if quoted is None and element.upper() == b"NULL":
                return found[0]
            shown = self._element(column, element)
            return found[0] if shown is None else b'"' + _SPECIAL.sub(rb"\\\1", shown) + b'"'

        masked = _ELEMENT.sub(mask, content)
        return masked if self._encoding == "utf-8" else self._write_text(masked)

    def _binary_array(self, column: Column, raw: bytes) -> bytes:
        (dimensions,) = unpack_from("!i", raw)
        if not 0 <= dimensions <= 6:
            raise ValueError("malformed array")
        start = 12 + 8 * dimensions
        out = [raw[:start]]
        prefix = b"\x01" if unpack_from("!I", raw, 8)[0] == _JSONB else b""
        while start < len(raw):
            (size,) = unpack_from("!i", raw, start)
            start += 4
            if size < 0:
                out.append(pack("!i", -1))
                continue
            if start + size > len(raw):
                raise ValueError("malformed array")
            element = raw[start : start + size]
            start += size
            shown = self._element(column, self._read_text(element.removeprefix(prefix)))
            if shown is not None:
                element = prefix + self._write_text(shown)
            out += (pack("!i", len(element)), element)
        return b"".join(out)

    def _element(self, column: Column, element: bytes) -> bytes | None:
        if element[:1] in (b"{", b"["):
            inner = self._put_json(column, element, depth=1)
            if inner is not None and inner.data is not None:
                return inner.data
        (outcome,) = self._values.mask_values([element], [column.name], [False])
        if outcome is None or not outcome.findings:
            return None
        self._report.add(outcome.findings, column.name.text)
        return outcome.data


def _covers(findings: Sequence[Finding], size: int) -> bool:
    return len(findings) == 1 and (findings[0].start, findings[0].end) == (0, size)


def _unquote_bytea(raw: bytes) -> bytes:
    """The bytes behind bytea's text, in hex or in the older escape form."""
    if raw[:2] == b"\\x":
        try:
            return bytes.fromhex(raw[2:].decode("ascii"))
        except ValueError:
            return raw
    return _OCTAL.sub(lambda found: bytes((int(found[1], 8) & 255,)) if found[1] else b"\\", raw)
