"""Tables in JSON: {"columns": ["id", "password"], "rows": [[1, "…"]]}, [["id", "password"], [1, "…"]] and their kin."""

import re
from collections.abc import Iterator
from typing import Final

from masking import values
from masking.model import Hit
from masking.names import NamedLabel, label_of

MAX_SCALARS: Final = 200_000
_COLUMNS: Final = re.compile(
    rb'(?i)"(?:columns?|fields?|headers?|cols|column_?names?|field_?names?|names|schema|rowtype|keys|column_?info)"\s*:\s*\[|\[\s*(?=\[\s*"[A-Za-z_][^"\\]{0,63}"\s*[,\]])'
)
_ROWS: Final = re.compile(
    rb'(?i)"(?:rows?|data|values|records|results?|tuples|data_?array|rowset|items|matrix|cells)"\s*:\s*\[(?=\s*\[)'
)
_TOKEN: Final = re.compile(rb'\s*(?:([\[{])|([\]}])|"((?:[^"\\]|\\.)*+)"?(\s*:)?|(,)|([^\s,\[\]{}"]++))', re.DOTALL)
_NAME_KEYS: Final = frozenset({"name", "column", "column_name", "field", "columnname", "label"})


def find_json_tables(data: bytes) -> Iterator[Hit]:
    """What to mask of the rows, by the names of their columns. `data` holds the JSON with its escapes."""
    taken: list[tuple[int, dict[int, NamedLabel]]] = []
    for match in _COLUMNS.finditer(data):
        is_bare = not match[0].startswith(b'"')
        names, end = _names(data, match.end() + (data[match.end() :].index(b"[") + 1 if is_bare else 0))
        labels = {index: named for index, name in enumerate(names) if (named := label_of(name))}
        if labels and is_bare:
            yield from _rows(data, end, labels)
        elif labels:
            taken.append((match.start(), labels))
    for position, labels in taken:
        after = _ROWS.search(data, position) or _ROWS.search(data)
        if after:
            yield from _rows(data, after.end(), labels)


def _names(data: bytes, position: int) -> tuple[list[str], int]:
    """The names in an array of strings, or of objects that have a name; and where it ends."""
    names: list[str] = []
    depth, key = 0, ""
    while len(names) < 2048 and (match := _TOKEN.match(data, position)):
        position = match.end()
        if match[1]:
            depth += 1
        elif match[2]:
            depth -= 1
            if depth < 0:
                break
        elif match[3] is not None:
            text = match[3].decode("utf-8", "replace")
            if match[4]:
                key = text.lower()
            elif depth == 0 or (depth == 1 and key in _NAME_KEYS):
                names.append(text)
    return names, position


def _rows(data: bytes, position: int, labels: dict[int, NamedLabel]) -> Iterator[Hit]:
    """The cells under telling columns, from inside the array of rows on."""
    depth = column = 0
    for _ in range(MAX_SCALARS):
        match = _TOKEN.match(data, position)
        if match is None:
            return
        position = match.end()
        if match[1]:
            depth += 1
            column = 0 if depth == 1 else column
        elif match[2]:
            depth -= 1
            if depth < 0:
                return
        elif match[5]:
            column += depth == 1
        elif depth == 1 and column in labels:
            yield from _cell(data, *match.span(3 if match[3] is not None else 6), labels[column])


def _cell(data: bytes, low: int, high: int, named: NamedLabel) -> Iterator[Hit]:
    if low < high and (span := values.VALUE_SHAPES[named.value](data[low:high])):
        yield low + span[0], low + span[1], named.label
