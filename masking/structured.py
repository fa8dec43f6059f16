"""Masking where the structure is known: rows, headers and JSON. A name beside a value wins over guessing.

JSON is not parsed and written again but walked as tokens: all that is not masked stays byte for byte as it was,
documents cut off in the middle work, and a number is masked only as a whole (as a string), never in its digits.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from masking import names
from masking.engine import Masker
from masking.jsontable import find_json_tables
from masking.model import Finding, MaskedBytes, MaskedText
from masking.validators import cookie_values

MAX_JSON_DEPTH: Final = 3  # of JSON inside JSON strings
MAX_PLACE_CHARS: Final = 200
_TOKEN: Final = re.compile(
    rb'"(?:[^"\\]++|\\.)*+"|-?\d[\d.eE+\-]*+|[{}\[\],:]|true|false|null|-?Infinity|NaN|[ \t\r\n]++', re.DOTALL
)
_BLANK: Final = b" \t\r\n"
_COOKIE_HEADERS: Final = frozenset({"cookie", "set-cookie"})

Row = Sequence[str | None]


def mask_rows(
    masker: Masker, columns: Sequence[str], rows: Sequence[Row], shown: Sequence[str] | None = None
) -> tuple[list[list[str | None]], tuple[Finding, ...]]:
    """Mask result rows; each finding's place is its column. Columns beyond `columns` have no name. `shown`: what the
    columns are called, where `columns` tells what they are."""
    places = columns if shown is None else shown
    masked = [list(row) for row in rows]
    findings: list[Finding] = []
    labels = [names.label_of(column) for column in columns]
    cells = [(r, c, value) for r, row in enumerate(rows) for c, value in enumerate(row) if value]
    named = [labels[column] if column < len(labels) else None for _, column, _ in cells]
    outcomes = masker.mask_batch([value for _, _, value in cells], None, named)
    for (row, column, _), outcome in zip(cells, outcomes, strict=True):
        if outcome and outcome.findings:
            masked[row][column] = outcome.text
            place = places[column] if column < len(places) else f"column {column + 1}"
            findings.extend(finding._replace(place=place) for finding in outcome.findings)
    return masked, tuple(findings)


def mask_headers(
    masker: Masker, headers: Sequence[tuple[str, str]]
) -> tuple[list[tuple[str, str]], tuple[Finding, ...]]:
    """Mask header values; each finding's place is the header's name in lower case."""
    masked: list[tuple[str, str]] = []
    findings: list[Finding] = []
    for name, value in headers:
        is_cookie = name.lower() in _COOKIE_HEADERS
        outcome = _mask_cookies(masker, name, value) if is_cookie else masker.mask_named(name, value, name.lower())
        masked.append((name, outcome.text))
        findings.extend(outcome.findings)
    return masked, tuple(findings)


def _mask_cookies(masker: Masker, name: str, value: str) -> MaskedText:
    """Every cookie's value; the attributes of Set-Cookie stay."""
    data = value.encode("utf-8", "surrogatepass")
    is_set = name.lower().startswith("set-")
    spans = cookie_values(data, 0, len(data), is_set=is_set)
    return masker.mask_parts(value, spans, "http_cookie", name.lower())


@dataclass(slots=True, frozen=True)
class _Slot:
    """A scalar in a JSON text: where it stands, its text, and the name and place above it."""

    start: int
    end: int
    text: str
    name: str
    place: str
    is_number: bool = False
    is_cut: bool = False


def mask_json(masker: Masker, data: bytes, place: str = "$", depth: int = 0) -> MaskedBytes:
    """Mask the values of a JSON text (or several after one another); other text is masked as text.

    Findings' offsets are code points within the single value; their place is its path.
    """
    if not masker.has_candidates(data):
        return MaskedBytes(data)
    slots = _walk(data, place)
    if slots is None:
        masked = masker.mask_text(data.decode("utf-8", "replace"), place)
        return MaskedBytes(masked.text.encode("utf-8", "replace"), masked.findings)
    pieces: list[bytes] = []
    findings: list[Finding] = []
    position = 0
    tabled = {start: label for start, _, label in find_json_tables(data)} if b"[" in data else {}
    for slot, outcome in zip(slots, _mask_slots(masker, slots, depth), strict=True):
        label = tabled.get(slot.start if slot.is_number else slot.start + 1)
        if label:  # {"columns": ["password"], "rows": [["…"]]}
            outcome = masker.mask_parts(
                slot.text, [(0, len(slot.text.encode("utf-8", "surrogatepass")))], label, slot.place
            )
        if outcome is None or not outcome.findings:
            continue
        text = json.dumps(outcome.text, ensure_ascii=False).encode("utf-8", "surrogatepass")
        pieces += (data[position : slot.start], text[:-1] if slot.is_cut else text)
        findings.extend(outcome.findings)
        position = slot.end
    pieces.append(data[position:])
    return MaskedBytes(b"".join(pieces), tuple(findings))


def _mask_slots(masker: Masker, slots: list[_Slot], depth: int) -> list[MaskedText | None]:
    outcomes = masker.mask_batch([slot.text for slot in slots], [slot.place for slot in slots])
    for index, slot in enumerate(slots):
        if names.label_of(slot.name):
            outcomes[index] = masker.mask_named(slot.name, slot.text, slot.place)
        elif depth < MAX_JSON_DEPTH and slot.text[:1] in ("{", "["):
            # Its escapes may hide what a scan of it would find.
            inner = mask_json(masker, slot.text.encode("utf-8", "surrogatepass"), slot.place, depth + 1)
            if inner.findings:
                outcomes[index] = MaskedText(inner.data.decode("utf-8", "surrogatepass"), inner.findings)
        if slot.is_number and not _covers(slot, outcomes[index]):
            outcomes[index] = None
    return outcomes


def _covers(slot: _Slot, outcome: MaskedText | None) -> bool:
    findings = outcome.findings if outcome else ()
    return len(findings) == 1 and (findings[0].start, findings[0].end) == (0, len(slot.text))


def _walk(data: bytes, place: str) -> list[_Slot] | None:
    """The scalars worth masking, or None when this is no JSON."""
    if data.lstrip(_BLANK)[:1] not in (b"{", b"[", b'"'):
        return None
    slots: list[_Slot] = []
    stack: list[_Level] = [_Level(place, is_object=False, is_top=True)]
    position = 0
    while match := _TOKEN.match(data, position):
        start, position = match.span()
        first = data[start]
        if first == _QUOTE:
            _take_string(slots, stack[-1], data, start, position)
        elif first in b"{[":
            level = stack[-1]
            stack.append(_Level(level.here(), is_object=first == _BRACE, name="" if first == _BRACE else level.name))
        elif first in b"}]":
            if len(stack) > 1:
                stack.pop()
        elif first == _COMMA:
            stack[-1].step()
        elif first == _COLON:
            stack[-1].expects_key = False
        elif first in b"-0123456789" and not match[0].endswith(b"y"):
            level = stack[-1]
            slots.append(_Slot(start, position, match[0].decode(), level.name, level.here(), is_number=True))
    return _finish(slots, stack[-1], data, position)


_QUOTE, _BRACE, _COMMA, _COLON = b'"{,:'


class _Level:
    """One open object or array (or the top) during the walk."""

    __slots__ = ("expects_key", "index", "is_object", "is_top", "key", "name", "place")

    def __init__(self, place: str, *, is_object: bool, name: str = "", is_top: bool = False) -> None:
        self.is_top = is_top
        self.place = place
        self.is_object = is_object
        self.name = name  # the telling name above: the key, or for an array's elements the array's
        self.key = ""
        self.index = 0
        self.expects_key = is_object

    def here(self) -> str:
        if self.is_top:
            return self.place
        step = f".{self.key}" if self.is_object else f"[{self.index}]"
        return (self.place + step)[:MAX_PLACE_CHARS]

    def step(self) -> None:
        self.index += 1
        self.expects_key = self.is_object


def _take_string(slots: list[_Slot], level: _Level, data: bytes, start: int, end: int) -> None:
    text = _decode_string(data[start:end])
    if level.is_object and level.expects_key:
        level.key = level.name = text
        slots.append(_Slot(start, end, text, "", f"{level.place} (key)"))
    elif text:
        slots.append(_Slot(start, end, text, level.name, level.here()))


def _decode_string(token: bytes) -> str:
    if b"\\" in token:
        try:
            return str(json.loads(token.decode("utf-8", "surrogatepass"), strict=False))
        except ValueError:
            pass
    return token[1:-1].decode("utf-8", "replace")


def _finish(slots: list[_Slot], level: _Level, data: bytes, position: int) -> list[_Slot] | None:
    """What stands after the last whole token: nothing, or a string that the end cut off. Else: no JSON."""
    rest = data[position:]
    if not rest:
        return slots
    if rest[0] != _QUOTE:
        return None if rest.strip() and len(rest) > len(b"false") else slots
    text = _decode_string(rest + b'"')
    slots.append(_Slot(position, len(data), text, level.name, level.here(), is_cut=True))
    return slots
