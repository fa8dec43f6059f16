"""Tables for people: aligned columns where they fit, else each row as a paragraph, so that nothing is out of sight."""

import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from console.output import as_cell, clean

WIDEST: Final = 1000
"""Columns of a table that goes to a pipe, where there is no terminal to ask: as many as its cells need within these,
since a cell that is broken in two is found by no `grep`."""

LEAST: Final = 12
"""Columns that a cell is broken at, at the least: a table of narrower ones cannot be read."""

NEVER_BROKEN: Final = frozenset({"session", "session_id", "id", "at", "opened", "part", "state"})
"""Columns that people copy or scan: their cells stay on one line."""

BETWEEN: Final = "   "
INDENT: Final = "    "
COLOURS: Final = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "dim": "2"}

Row = list[str]


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "", styles: Mapping[str, str] | None = None
) -> None:
    """A table, and a word below its head when it is empty; `styles` maps a cell's text to names of COLOURS."""
    is_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if is_terminal else WIDEST
    painter = Painter(styles or {}, is_terminal and not os.environ.get("NO_COLOR"))
    head = [clean(name) for name in columns]
    body = [[clean(as_cell(value)).expandtabs() for value in row] for row in rows]
    if title:
        print(clean(title))
    widths = fit(head, body, width)
    lines: Iterable[str]
    if widths is None and body:
        lines = (line for row in body for line in as_paragraph(head, row, width, painter))
    else:
        lines = as_lines(head, body, widths or [measure(name) for name in head], painter)
    sys.stdout.write("\n" + "".join(f"{line}\n" for line in lines) + ("\n" if body else "\n(nothing)\n"))


class Painter:
    """Colours texts for a terminal; leaves them alone elsewhere."""

    def __init__(self, styles: Mapping[str, str], is_on: bool) -> None:
        self._styles = styles
        self._is_on = is_on

    def cell(self, text: str, shown: str) -> str:
        """A cell as its whole text demands."""
        return self.paint(shown, self._styles.get(text, "")) if self._is_on else shown

    def paint(self, text: str, style: str) -> str:
        """Text in a style: names of COLOURS with blanks between them."""
        code = ";".join(COLOURS[name] for name in style.split()) if self._is_on else ""
        return f"\x1b[{code}m{text}\x1b[0m" if code else text


def measure(text: str) -> int:
    """Columns that one line takes on a terminal."""
    from rich.cells import cell_len

    return len(text) if text.isascii() else cell_len(text)


def measure_cell(text: str) -> int:
    """Columns of a cell's longest line."""
    return max(map(measure, text.split("\n"))) if "\n" in text else measure(text)


def fit(head: Sequence[str], body: Iterable[Row], width: int) -> list[int] | None:
    """Widths of the columns within `width`, cells broken where they must be; None where that is not to be read."""
    wanted = [measure(name) for name in head]
    for row in body:
        wanted = [max(have, measure_cell(cell)) for have, cell in zip(wanted, row, strict=True)]
    left = width - len(BETWEEN) * (len(head) - 1) - 2
    least = [
        have if name in NEVER_BROKEN else min(have, max(LEAST, measure(name)))
        for name, have in zip(head, wanted, strict=True)
    ]
    if sum(wanted) <= left:
        return wanted
    if sum(least) > left:
        return None if len(head) > 1 else [left]
    return _share(wanted, least, left)


def _share(wanted: list[int], least: list[int], left: int) -> list[int]:
    """The widest columns give way first, down to one width that is the same for all of them."""
    low, high = 0, max(wanted)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(have, max(few, middle)) for have, few in zip(wanted, least, strict=True)) <= left:
            low = middle
        else:
            high = middle - 1
    return [min(have, max(few, low)) for have, few in zip(wanted, least, strict=True)]


def as_lines(head: Row, body: Iterable[Row], widths: Sequence[int], painter: Painter) -> Iterable[str]:
    """Head, rule and rows, aligned."""
    yield " " + BETWEEN.join(painter.paint(pad(name, width), "bold") for name, width in zip(head, widths, strict=True))
    yield " " + "─" * (sum(widths) + len(BETWEEN) * (len(widths) - 1))
    for row in body:
        yield from _as_row(row, widths, painter)


def _as_row(row: Row, widths: Sequence[int], painter: Painter) -> Iterable[str]:
    pieces = [break_cell(cell, width) for cell, width in zip(row, widths, strict=True)]
    for number in range(max(map(len, pieces), default=0)):
        cells = [
            painter.cell(cell, pad(piece[number], width)) if number < len(piece) else " " * width
            for cell, piece, width in zip(row, pieces, widths, strict=True)
        ]
        yield (" " + BETWEEN.join(cells)).rstrip()


def break_cell(text: str, width: int) -> list[str]:
    """A cell in lines of at most `width` columns, at blanks where there are any; at least one line."""
    if "\n" not in text and measure(text) <= width:
        return [text]
    return [piece for line in text.split("\n") for piece in _break_line(line, width)]


def _break_line(line: str, width: int) -> Iterable[str]:
    at, end = 0, len(line)
    while True:
        cut = at + _count_fitting(line[at : at + width], width)
        if cut >= end:
            yield line[at:]
            return
        blank = line.rfind(" ", at + 1, cut + 1)
        if blank > (at + cut) // 2:
            yield line[at:blank]
            at = blank + 1
        else:
            yield line[at:cut]
            at = cut


def _count_fitting(text: str, width: int) -> int:
    """How many characters of a text fit into a width; at least one."""
    if text.isascii():
        return len(text)
    used = 0
    for number, character in enumerate(text):
        used += measure(character)
        if used > width:
            return max(1, number)
    return len(text)


def pad(text: str, width: int) -> str:
    """Text and blanks up to `width` columns."""
    return text.ljust(width) if text.isascii() else text + " " * (width - measure(text))


def as_paragraph(head: Row, row: Row, width: int, painter: Painter) -> Iterable[str]:
    """A row as its first cell and then `name value` after `name value`, in lines of `width`; no cell is broken."""
    line, used = painter.cell(row[0], row[0]), measure_cell(row[0])
    for name, cell in zip(head[1:], row[1:], strict=True):
        if not cell:
            continue
        size = measure(name) + 1 + measure_cell(cell)
        shown = f"{painter.paint(name, 'dim')} {painter.cell(cell, cell)}".replace("\n", "\n" + INDENT)
        if used + 2 + size > width:
            yield line
            line, used = INDENT + shown, len(INDENT) + size
        else:
            line, used = f"{line}  {shown}", used + 2 + size
    yield line
