"""What SQL says about the values in it: the columns of INSERT … VALUES, and which column a parameter belongs to."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

MAX_STATEMENT_CHARS: Final = 256 * 1024
MAX_PARAMETERS: Final = 65_535
INSERT: Final = re.compile(rb"(?i)\binsert\s+into\s+[^\s()]+\s*\(([^()]{1,4096})\)[^()']{0,64}?\bvalues\s*(?=\()")
_ITEM: Final = re.compile(rb"'(?:[^']|'')*+'?|\"[^\"]*+\"?|[(),;]|[^'\"(),;]++")
_PARAMETER: Final = re.compile(rb"\$(\d{1,5})")
_COMPARED: Final = re.compile(
    rb"(?i)([a-z_][\w.]{0,127}|\"[^\"]{1,128}\")\s{0,8}(?:=|<>|!=|\bi?like\b)\s{0,8}(?:\w{1,40}\s{0,8}\(\s{0,8})?\$(\d{1,5})"
)


def insert_items(data: bytes, columns: bytes, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """(column, start, end) of each value in the VALUES lists between two offsets; the last may be cut off."""
    names = [name.strip().strip(b'"`[]').decode("utf-8", "replace") for name in columns.split(b",")]
    depth = column = 0
    begin = start
    for match in _ITEM.finditer(data, start, end):
        mark = match[0]
        if mark == b"(":
            depth += 1
            if depth == 1:
                column, begin = 0, match.end()
        elif mark in (b",", b")") and depth == 1:
            if column < len(names):
                yield names[column], begin, match.start()
            column, begin = column + 1, match.end()
            depth -= mark == b")"
        elif mark == b")":
            depth -= 1
        elif depth == 0 and mark.strip() not in (b"", b","):
            return
    if depth and column < len(names) and begin < end:
        yield names[column], begin, end


@lru_cache(maxsize=1024)
def parameter_names(statement: str) -> dict[int, str]:
    """Parameter number (from 1) to the column it is compared with, set to or inserted into, as far as it shows.

    Give the name to `Masker.mask_named` with the parameter's value. Statements beyond 256 KiB tell nothing.
    """
    if "$" not in statement or len(statement) > MAX_STATEMENT_CHARS:
        return {}
    data = statement.encode("utf-8", "surrogatepass")
    found: dict[int, str] = {}
    for match in _COMPARED.finditer(data):
        found.setdefault(int(match[2]), match[1].strip(b'"').decode("utf-8", "replace"))
    position = 0
    while insert := INSERT.search(data, position):
        position = insert.end()
        for name, start, end in insert_items(data, insert[1], insert.end(), len(data)):
            position = max(position, end)  # never over the same text twice
            for parameter in _PARAMETER.finditer(data, start, end):
                found.setdefault(int(parameter[1]), name)
    return {number: name for number, name in found.items() if 0 < number <= MAX_PARAMETERS}
