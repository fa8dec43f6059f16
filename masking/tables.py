"""Result tables in a text: psql, MySQL, sqlite, markdown, CSV, TSV, kubectl. The header's names tell what is
in a column."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

from masking import values
from masking.model import Hit
from masking.names import NamedLabel, label_of

MAX_COLUMNS: Final = 512
MAX_ROWS: Final = 20_000
MAX_ROW_BYTES: Final = 64 << 10
_HEADER_CELL: Final = re.compile(rb"[A-Za-z_#$\x80-\xff][\w .#$/()%*:@\x80-\xff-]{0,63}")
_RULE: Final = re.compile(rb"[ \t|+:=\-\xe2\x94\x80-\xbf\x95]+")
_DASHES: Final = re.compile(rb"[-=]{2,}")
_ALIGNED_RULE: Final = re.compile(rb"[ \t]*[-=]{2,}(?:[ \t]+[-=]+)*[ \t]*")
_COLUMN_GAP: Final = re.compile(rb"[^ \t]+(?: [^ \t]+)*")
_ROW_COUNT: Final = re.compile(rb"\(\d+ rows?(?: affected)?\)|\d+ rows? in set.*|\\\.|Query OK.*")
_BOX_CELL: Final = re.compile(rb"()((?:[^\xe2\r\n]|\xe2(?!\x94\x82))*+)(?:\xe2\x94\x82|\Z)")
_MARKS: Final = ("│".encode(), b"|", b"\t", b",", b";")

Cells = list[tuple[int, int]]  # offsets of a line's cells


class Table:
    """The table whose header line begins at an offset, if it is one. After `hits` is exhausted, `end` is where its
    last row ends: no line before it is a header."""

    def __init__(self, flat: bytes, line_start: int) -> None:
        self.end = line_start
        self._flat, self._start = flat, line_start

    def hits(self) -> Iterator[Hit]:
        """What to mask below the header."""
        for part in _rows_below(self._flat, self._start):
            if isinstance(part, int):
                self.end = part
            else:
                yield part


def _rows_below(flat: bytes, line_start: int) -> Iterator[Hit | int]:
    """Hits, and between them the offsets up to which rows were read."""
    line_end = _line_end(flat, line_start)
    if line_end - line_start > MAX_ROW_BYTES or line_end >= len(flat):  # nothing stands below
        return
    below = _line_end(flat, line_end + 1)
    rule = flat[line_end + 1 : below].rstrip(b"\r")
    if _ALIGNED_RULE.fullmatch(rule):
        yield from _aligned(flat, line_start, line_end, [m.start() for m in _DASHES.finditer(rule)], below + 1)
        return
    for mark in _MARKS:
        if flat.find(mark, line_start, line_end) >= 0:
            yield from _delimited(flat, line_start, line_end, mark, has_rule=_RULE.fullmatch(rule) is not None)
            return
    starts = [m.start() for m in _COLUMN_GAP.finditer(flat[line_start:line_end])]
    head = flat[line_start:line_end]
    if len(starts) > 1 and head == head.upper():
        yield from _aligned(flat, line_start, line_end, starts, line_end + 1)


def _line_end(flat: bytes, start: int) -> int:
    end = flat.find(b"\n", start, start + MAX_ROW_BYTES)
    return end if end >= 0 else min(len(flat), start + MAX_ROW_BYTES)


def _delimited(flat: bytes, start: int, end: int, mark: bytes, *, has_rule: bool) -> Iterator[Hit | int]:
    head = split_line(flat, start, end, mark)
    names = [flat[low:high] for low, high in head]
    is_ruled = mark in _MARKS[:2]
    if not is_ruled and not (1 < len(names) <= MAX_COLUMNS and all(map(_HEADER_CELL.fullmatch, names))):
        return
    if is_ruled and not (has_rule or all(map(_HEADER_CELL.fullmatch, filter(None, names)))):
        return
    labels = _labels(names)
    if not labels:
        return
    position = end + 1
    for _ in range(MAX_ROWS):
        if position >= len(flat):
            return
        end = _line_end(flat, position)
        line = flat[position:end].strip()
        if not line or _ROW_COUNT.fullmatch(line):
            return
        if not _RULE.fullmatch(line):
            cells = split_line(flat, position, end, mark)
            if len(cells) != len(names) and not (is_ruled and len(cells) > max(labels)):
                return
            for index, named in labels.items():
                yield from _cell(flat, *cells[index], named)
        position = end + 1
        yield position


def split_line(flat: bytes, start: int, end: int, mark: bytes) -> Cells:
    """Offsets of a line's cells without blanks and quotes around them."""
    cells: Cells = []
    pattern = _cell_before(mark)
    while start <= end and len(cells) <= MAX_COLUMNS:
        match = pattern.match(flat, start, end)
        if match is None:
            break
        group = 1 if match.start(1) >= 0 and match.end(1) > match.start(1) else 2
        low, high = match.span(group) if match.start(group) >= 0 else match.span()
        text = flat[low:high]
        low, high = low + len(text) - len(text.lstrip()), high - len(text) + len(text.rstrip())
        if high - low > 1 and flat[low] == flat[high - 1] and flat[low] in b"'`\"":
            low, high = low + 1, high - 1
        cells.append((low, max(low, high)))
        if (match.end() == end and not flat.startswith(mark, max(start, end - len(mark)))) or match.end() == start:
            break
        start = match.end()
        if start == end:
            cells.append((end, end))
            break
    return cells


@lru_cache(maxsize=16)
def _cell_before(mark: bytes) -> re.Pattern[bytes]:
    """A cell up to its mark: one character, or the line of a box."""
    if mark == _MARKS[0]:
        return _BOX_CELL
    escaped = re.escape(mark)
    return re.compile(rb'[ ]*(?:"((?:[^"]|"")*+)"[ ]*|([^%s\r\n]*+))(?:%s|\Z)' % (escaped, escaped))


def _labels(names: Sequence[bytes]) -> dict[int, NamedLabel]:
    found = {index: label_of(name.decode("utf-8", "replace")) for index, name in enumerate(names)}
    return {index: named for index, named in found.items() if named}


def _aligned(flat: bytes, start: int, end: int, columns: list[int], position: int) -> Iterator[Hit | int]:
    """Columns at fixed offsets: by the rule below the header, or by where its words begin."""
    edges = [*columns, MAX_ROW_BYTES]
    edges[0] = 0
    labels = _labels([flat[start + low : min(end, start + high)].strip() for low, high in _pairs(edges)])
    if not labels:
        return
    for _ in range(MAX_ROWS):
        end = _line_end(flat, position)
        line = flat[position:end].strip()
        if not line or position >= len(flat) or _ROW_COUNT.fullmatch(line):
            return
        for index, named in labels.items():
            low, high = min(end, position + edges[index]), min(end, position + edges[index + 1])
            yield from _cell(flat, low, high, named)
        position = end + 1
        yield position


def _pairs(edges: list[int]) -> Iterator[tuple[int, int]]:
    yield from pairwise(edges)


def _cell(flat: bytes, low: int, high: int, named: NamedLabel) -> Iterator[Hit]:
    if low < high and (span := values.VALUE_SHAPES[named.value](flat[low:high])):
        yield low + span[0], low + span[1], named.label


_COPY: Final = re.compile(rb"(?i)copy\s+[\w.\"]+\s*\(([^()]{1,8192})\)\s*from\s+stdin([^\n]*)\n")
_IS_CSV: Final = re.compile(rb"(?i)\bcsv\b")
_HAS_HEADER: Final = re.compile(rb"(?i)\bheader\b(?!\s+(?:false|off|0))")
_DELIMITER: Final = re.compile(rb"(?i)\bdelimiters?\s+(?:as\s+)?e?'(\\t|[^'\\\r\n])'")


def find_copy(flat: bytes, _data: bytes, where: Sequence[int]) -> Iterator[tuple[int, int, str | None, int]]:
    """COPY t (a, b) FROM stdin; and its rows: `where` is behind the opening bracket."""
    for end in sorted(where):
        match = _COPY.match(flat, flat.lower().rfind(b"copy", max(0, end - 200), end)) if end <= len(flat) else None
        labels = _labels([name.strip().strip(b'"') for name in match[1].split(b",")]) if match else {}
        if match is None or not labels:
            continue
        position = match.end()
        mark, is_csv = _form_of(match[2])
        for _ in range(MAX_ROWS):
            line_end = _record_end(flat, position) if is_csv else _line_end(flat, position)
            cells = split_line(flat, position, line_end, mark)
            if position >= len(flat) or flat[position:line_end].startswith(b"\\.") or len(cells) <= max(labels):
                break
            if position != match.end() or not _HAS_HEADER.search(match[2]):
                for index, named in labels.items():
                    for hit in _cell(flat, *cells[index], named):
                        yield *hit, match.start()
            position = line_end + 1


def _form_of(options: bytes) -> tuple[bytes, bool]:
    """What stands between the cells of COPY's rows, and whether they are CSV."""
    is_csv = _IS_CSV.search(options) is not None
    told = _DELIMITER.search(options)
    mark = b"," if is_csv else b"\t"
    if told:
        mark = b"\t" if told[1] == b"\\t" else told[1]
    return mark, is_csv


def _record_end(flat: bytes, start: int) -> int:
    """Where the record of CSV that begins here ends: its quoted cells may hold line ends."""
    end = _line_end(flat, start)
    quotes = flat.count(b'"', start, end)
    while quotes % 2 and end < len(flat) and end - start < MAX_ROW_BYTES:
        more = _line_end(flat, end + 1)
        quotes += flat.count(b'"', end, more)
        end = more
    return end
