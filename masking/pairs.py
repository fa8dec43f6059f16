"""Names and their values where a pattern shows both: fields of a command, rows of a table of two columns, lists."""

import re
from collections.abc import Iterator
from typing import Any, Final

from masking import names, values
from masking.model import Hit

MAX_PAIRS: Final = 256  # of one command, table or list
_WORD: Final = re.compile(rb"[ \t]*(?:\"((?:[^\"\\]|\\.)*+)\"|'([^']*+)'|([^\s\"']\S*+))")
_ROW: Final = re.compile(
    rb"[ \t]*\|?[ \t]*[`\"*]{0,2}([A-Za-z_][\w. -]{0,63}?)[`\"*]{0,2}[ \t]*[|,;\t][ \t]*"
    rb"([`\"]?)([^|\r\n`\"]+?)\2[ \t]*(?:\|[ \t]*)?(?:\r?\n|\Z)"
)
_ITEM: Final = re.compile(
    rb"[ \t]*(?:[-*]|\d{1,2}[.)])?[ \t]*[`\"]?([A-Za-z0-9]{4,16}(?:[- ][A-Za-z0-9]{3,8}){0,3})[`\"]?"
    rb"[ \t]*,?[ \t]*(?:\r?\n|[\"'$<]|\Z)"
)


def taken_group(match: Any, least: int = 1) -> int:
    """The number of the first group from `least` on that took part; 0 without one."""
    return next((index for index in range(least, 1 + match.re.groups) if match.start(index) >= 0), 0)


def check_named(data: bytes, match: Any, _group: int) -> list[Hit]:
    """Group 1 names the value, which is the first later group that took part."""
    group = taken_group(match, 2)
    return list(_judge(data, match.group(1), *match.span(group))) if group else []


def check_aliased(data: bytes, match: Any, _group: int) -> list[Hit]:
    """Group 1 is the value, which group 2 names: 'value' AS name."""
    return list(_judge(data, match.group(2), *match.span(1)))


def check_fields(data: bytes, match: Any, group: int) -> list[Hit]:
    """NAME VALUE NAME VALUE …, as HSET takes them."""
    position, end = match.span(group)
    words: list[tuple[int, int]] = []
    while len(words) < 2 * MAX_PAIRS and (word := _WORD.match(data, position, end)):
        words.append(word.span(word.lastindex or 0))
        position = word.end()
    pairs = zip(words[::2], words[1::2], strict=False)
    return [hit for name, value in pairs for hit in _judge(data, data[slice(*name)], *value)]


def check_rows(data: bytes, match: Any, group: int) -> list[Hit]:
    """The rows of a table whose columns are a name and its value."""
    position, end = match.span(group)
    found: list[Hit] = []
    for _ in range(MAX_PAIRS):
        line_end = data.find(b"\n", position, end) + 1 or end
        if row := _ROW.match(data, position, line_end):
            found += _judge(data, row[1], *row.span(3))
        position = line_end
        if position >= end:
            break
    return found


def check_code_list(data: bytes, match: Any, group: int) -> list[Hit]:
    """Codes, one a line, each with a digit somewhere."""
    position, end = match.span(group)
    found: list[Hit] = []
    while len(found) < MAX_PAIRS and (item := _ITEM.match(data, position, end)):
        if values.has_digit(item[1]):
            found.append((*item.span(1), None))
        position = item.end()
    return found


def _judge(data: bytes, name: bytes, start: int, end: int) -> Iterator[Hit]:
    named = names.label_of(name.decode("utf-8", "replace"))
    if named is None or values.is_call(data[start:end]):
        return
    span = names.secret_span(named, data[start:end])
    if span:
        yield start + span[0], start + span[1], named.label
