"""Values next to a telling name, in whatever language: `NAME=value`, `name: value`, `"name": "value"`, name := value,
`('name', 'value')`, `--name value`, `<name>value</name>`, and what YAML, shells and programs make of several lines.

The finder is given where its gate's matches end: behind the sign between name and value, or just before the value.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from masking import values
from masking.jsontable import find_json_tables
from masking.model import Found, Hit
from masking.names import NamedLabel, label_of
from masking.spans import is_in_token
from masking.tables import Table

MAX_NAME_BYTES: Final = 64
MAX_VALUE_BYTES: Final = 16 << 10
MAX_LINES: Final = 64  # of one value
_WHITE: Final = b" \t\r\n\"'`\\]})"
_BREAKS: Final = b"\r\0,;{}()<>|=?&#/:\"'`\\"  # what no name holds
_TO_BREAK: Final = bytes.maketrans(_BREAKS, b"\n" * len(_BREAKS))
_SIGN: Final = re.compile(rb"\s*+(?:=>|:=|={1,3}|!==?|<>|~=|:(?!:)|->|,|>)?[ \t]*+")
_NEXT_LINE: Final = re.compile(rb"\r?\n[ \t]{1,40}(?![\w.-]+:[ \t\r\n]|-)(?=\S)")
_DOUBLE: Final = re.compile(rb'(?:[bBfFrRuU]{0,2}|@)"((?:[^"\\]|\\.)*+)(?:"|\Z)', re.DOTALL)
_SINGLE: Final = re.compile(rb"(?:[bBfFrRuUeEnN]{0,2}|\$)'((?:[^'\\]|''|\\(?!').|\\')*?)(?:'(?!')|\Z)", re.DOTALL)
_ESCAPED: Final = re.compile(rb"(\\+)([\"'])((?:[^\"'\\]|(?!\2)[\"'])*+)", re.DOTALL)
_TICKS: Final = re.compile(rb"`([^`]*+)`")
_BARE: Final = re.compile(rb"(?:[^\s\"'`&,;|<>(){}\[\]\\\x00\xe2]|\xe2(?!\x80\xb9))++")
_LINE: Final = re.compile(rb"(?:[^\s\"'`\x00\xe2]|\xe2(?!\x80\xb9))++")
_FIELD_AFTER: Final = re.compile(rb"[&;,][A-Za-z_][\w.\[\]%-]{0,40}=|[;,)\]}]+\Z|&&|\|\||;\Z|</|\\[ \"'nrt]")
_AT_LINE_START: Final = re.compile(
    rb"(?:\A|[\r\n])[ \t]*(?:(?:export|set|setenv|env|declare -x|ENV|ARG|SET|- )[ \t]*)?(?:\$env:)?[\w.-]*\Z"
)
_TYPED: Final = re.compile(
    rb"(?i)(?:final |const )?(?:str(?:ing)?|Optional\[\w+\]|bytes|SecretStr|char\s?\*|\&'?\w* ?str|text|any"
    rb"|object|\w+\[\])\??[ \t]*=[ \t]*"
)
_JOINED: Final = re.compile(
    rb"[\"'][ \t]*(?:[+.&]|\\|\.\.|<>)?[ \t]*(?:\\?\r?\n[ \t]*)?(?:[+.&]|<>)?[ \t]*[bfru]?(?=([\"'])[A-Za-z"
    rb"0-9+/=_.-]{2,}\1)"
)
_SUBSCRIPT: Final = re.compile(
    rb"[&*]?[A-Za-z_](?:[A-Za-z_.]|\d(?=[A-Za-z0-9_]*\.))*+(?:\[|\{[\s}])|<[^<>\r\n]{2,60}>|[A-Za-z_]\w*\.[A-Z][A-Za-z]+\b(?!\S)"
)
_OPENED: Final = re.compile(rb"\(\s*(?=[bfru]?[\"'])")
_RESP: Final = re.compile(rb"\r?\n\$\d{1,7}\r?\n([^\r\n]+)")
_BLOCK: Final = re.compile(rb"[|>][+-]?\d?[ \t]*\r?\n")
_LIST: Final = re.compile(rb"[ \t]*\r?\n(?=[ \t]*-[ \t])")
_ITEM: Final = re.compile(rb"[ \t]*-[ \t]+([\"']?)([^\r\n\"'#]+?)\1[ \t]*(?:\r?\n|\Z)")
_ARRAY_ITEM: Final = re.compile(rb"[\s,]*(?:\\*\"((?:[^\"\\]|\\[^\"])*+)\\*\"|'([^']*+)'|([^\s,\"'\[\]{}]++))")
_FLAG: Final = re.compile(rb"-[-]?([A-Za-z][\w.-]{0,63})[ \t]++(?!-)")
_IDENTIFIER: Final = re.compile(rb"[A-Za-z_][A-Za-z_.]*")
_BLANKS: Final = re.compile(rb"[ \t]*+(?!-)")
_PAIR_VALUE: Final = re.compile(
    rb"(?i)(?:[,;]?[\s,;]{0,40}|(?<==))\\{0,2}[\"']?(?:value|val|content|default|secretstring)\\{0,2}[\"']?"
    rb"[ \t]{0,4}[=:][ \t]*|,[ \t]*(?=\\?[\"'])"
)
_CALLED: Final = re.compile(rb"\w[ ]?\([ ]{0,4}[\"'][\w.\x80-\xff-]+[\"'][ ]?\Z")
_RECORD_BYTES: Final = 16 << 10  # how far up the head of a record in psql's expanded form may be
_PART: Final = re.compile(rb"[^\r\n]*(?:\r?\n[^\r\n]+)*\r?\n\r?\n([^\r\n]+)")
_FIELD: Final = re.compile(rb"(?i)[ \t]{1,8}(?:value|content)=\Z")
_ELEMENT: Final = re.compile(rb"([^<>\"'\0]{1,4096})</")


def find_named(flat: bytes, data: bytes, where: Sequence[int]) -> Iterator[Found]:
    """Values behind names that tell; `where` holds offsets just behind the sign that follows the name."""
    done = 0
    tables = _Tables(flat, data)
    for end in sorted(where):
        if end - 1 < done or end > len(flat) + 1:
            continue
        field = _FIELD.search(flat, max(0, end - 24), end)  # name="password" value=
        name = name_before(flat, field.start() if field else end - 1)
        named = label_of(name) if name else None
        if named is None or is_in_token(flat, end):
            continue
        begin = max(0, end - 1 - len(name))
        hits = value_at(flat, data, end, named, b"=") if field else _after_sign(flat, data, end, named)
        for hit in hits:
            done = max(done, hit[1])
            yield *hit, begin
        if done < end and flat[end - 1 : end] not in (b"=", b":", b"!", b"<", b">"):
            for hit in tables.around(end, named):
                yield *hit, begin


class _Tables:
    """Looks for the table whose header a name may stand in, each once."""

    def __init__(self, flat: bytes, data: bytes) -> None:
        self._flat, self._data = flat, data
        self._seen: set[int] = set()
        self._read_to = 0  # what was read as rows is no header

    def around(self, end: int, named: NamedLabel) -> Iterator[Hit]:
        flat = self._flat
        if -1 not in self._seen and flat.find(b"[") >= 0 and flat.find(b'"') >= 0:
            self._seen.add(-1)
            yield from find_json_tables(self._data)
        start = flat.rfind(b"\n", 0, end - 1) + 1
        if flat[end - 1 : end] == b"|" and flat.rfind(b"-[ RECORD ", max(0, start - _RECORD_BYTES), start) >= 0:
            line_end = flat.find(b"\n", end)
            yield from _shaped(flat, end, line_end if line_end >= 0 else len(flat), named)
        elif start >= self._read_to and start not in self._seen:
            self._seen.add(start)
            table = Table(flat, start)
            yield from table.hits()
            self._read_to = table.end


def _after_sign(flat: bytes, data: bytes, end: int, named: NamedLabel) -> Iterator[Hit]:
    pair = _PAIR_VALUE.match(flat, end - 1)
    if pair and (flat[end - 1 : end] != b"," or b"=" in pair[0] or b":" in pair[0] or _is_first_argument(flat, end)):
        yield from value_at(flat, data, pair.end(), named, b"=")
        return
    mark = flat[end - 1 : end]
    if not mark:
        return
    if mark == b"<" and flat[end : end + 1] != b">":
        return
    if mark in b"=:!<" and (sign := _SIGN.match(flat, end - 1)):
        yield from value_at(flat, data, sign.end(), named, sign[0].strip())
    elif mark in b">":
        yield from _element(flat, end, named)
    elif mark in b"\r\n" and (text := _RESP.match(flat, end - 1, end + MAX_VALUE_BYTES)):
        yield from _shaped(flat, *text.span(1), named)
    elif mark in b"\r\n;" and _is_part(flat, end) and (part := _PART.match(flat, end - 1, end + MAX_VALUE_BYTES)):
        yield from _shaped(flat, *part.span(1), named)


def _is_part(flat: bytes, end: int) -> bool:
    """Content-Disposition: form-data; name="password": the value stands below."""
    return b"form-data" in flat[max(0, end - 200) : end].lower()


def _is_first_argument(flat: bytes, end: int) -> bool:
    """name("password", "…"): the name is the first argument of a call."""
    return _CALLED.search(flat, max(0, end - 2 * MAX_NAME_BYTES), end - 1) is not None


def _shaped(flat: bytes, start: int, end: int, named: NamedLabel) -> Iterator[Hit]:
    span = values.VALUE_SHAPES[named.value](flat[start:end])
    if span:
        yield start + span[0], start + span[1], named.label


def _element(flat: bytes, end: int, named: NamedLabel) -> Iterator[Hit]:
    """<name>value</name>, <x name="name">value</x>."""
    match = _ELEMENT.match(flat, end)
    if match and flat.rfind(b"<", max(0, end - 300), end) >= 0:
        yield from _shaped(flat, end, match.end(1), named)


def name_before(flat: bytes, end: int) -> str:
    """The last words before an offset, as far as they may be a name: of one line, without quotes or brackets."""
    piece = flat[max(0, end - MAX_NAME_BYTES) : end].rstrip(_WHITE).translate(_TO_BREAK)
    return piece[piece.rfind(b"\n") + 1 :].decode("utf-8", "replace")


def value_at(flat: bytes, data: bytes, position: int, named: NamedLabel, sign: bytes) -> Iterator[Hit]:
    """What to mask of the value (or values) that begin at an offset."""
    typed = _TYPED.match(flat, position)
    if typed:
        position = typed.end()
    first = flat[position : position + 1]
    if first in (b"\r", b"\n"):
        if (items := _LIST.match(flat, position)) is not None:
            yield from _items(flat, items.end(), named)
            return
        following = _NEXT_LINE.match(flat, position)
        if following is None or sign not in (b":", b"="):
            return
        position = following.end()
        first = flat[position : position + 1]
    if first == b"(" and (opened := _OPENED.match(flat, position)):
        position = opened.end()
    if first == b"[":
        yield from _array(flat, position + 1, named)
    elif first in b"|>" and (block := _BLOCK.match(flat, position)):
        yield from _block(flat, block.end(), named)
    elif (quoted := _quoted(data, position)) is not None:
        yield from _quoted_hits(flat, data, *quoted, named)
    else:
        yield from _bare(flat, position, named, sign)


def _quoted(data: bytes, position: int) -> tuple[int, int] | None:
    for pattern, group in ((_DOUBLE, 1), (_SINGLE, 1), (_ESCAPED, 3), (_TICKS, 1)):
        match = pattern.match(data, position, position + MAX_VALUE_BYTES)
        if match:
            return match.span(group)
    return None


def _quoted_hits(flat: bytes, data: bytes, start: int, end: int, named: NamedLabel) -> Iterator[Hit]:
    if named.label == "http_cookie":
        return  # a detector of its own knows its parts
    last = end
    for _ in range(MAX_LINES):
        more = _JOINED.match(flat, last)
        following = _quoted(data, more.end()) if more else None
        if following is None:
            break
        last = following[1]
    if last != end:
        yield start, last, named.label
        return
    value = data[start:end]
    if len(value) < MAX_NAME_BYTES and value.startswith((b"\n", b"\r", b"\\n", b"\\r")):
        return  # between two texts of a program: `expect "Password:"`, then a line with another one
    if b"_" in value and _IDENTIFIER.fullmatch(value) and label_of(value.decode("ascii")):
        return  # a name given as a text: "delete_branch_password"
    span = values.VALUE_SHAPES[named.value](value)
    if span:
        yield start + span[0], start + span[1], named.label


def _bare(flat: bytes, position: int, named: NamedLabel, sign: bytes) -> Iterator[Hit]:
    if named.label in ("http_cookie", "http_authorization"):
        return  # detectors of their own know their parts
    if named.value in values.BARE_PATTERNS:
        match = values.BARE_PATTERNS[named.value].match(flat, position)
        if match and not _goes_on(flat, match.end()) and not values.is_placeholder(match[0]):
            yield match.start(), match.end(), named.label
        return
    if _SUBSCRIPT.match(flat, position, position + 256):
        return  # code, or a placeholder of several words
    end = _end_of_bare(flat, position, named, sign)
    value = flat[position:end]
    scheme = values.AUTH_SCHEME.match(flat, position, position + 256)
    if scheme and scheme.end() > end:
        end = _end_of_bare(flat, scheme.end(), named, sign)
        position, value = scheme.end(), flat[scheme.end() : end]
    if not value or flat[end : end + 1] == b"(" or value[:1] in b"$%@?#*!^":
        if not (value[:1] in b"$@#*!^%?" and _is_strange_password(value) and named.label == "password"):
            return
    if _IDENTIFIER.fullmatch(value) and label_of(value.decode("ascii")):
        return  # code: password = user_password
    if value[-1:] in b"[(" or values.is_call(value) or not _is_said_alone(flat, position, end, named, sign):
        return
    span = values.VALUE_SHAPES[named.value](value)
    if span:
        yield position + span[0], position + span[1], named.label


def _goes_on(flat: bytes, end: int) -> bool:
    following = flat[end : end + 1]
    return following.isalnum() or following == b"_"


def _is_strange_password(value: bytes) -> bool:
    """Begins with a sign that references begin with, and is none: `$ecret#1`, `!Q2w3e4`."""
    return (
        len(value) >= 6
        and sum(not chr(b).isalnum() and b != 95 for b in value) >= 2
        and not value.startswith((b"${", b"$(", b"%{"))
    )


def _end_of_bare(flat: bytes, position: int, named: NamedLabel, sign: bytes) -> int:
    """Where an unquoted value ends. On a line of its own it may hold what elsewhere ends it."""
    match = _BARE.match(flat, position, position + MAX_VALUE_BYTES)
    end = match.end() if match else position
    if named.value in ("any", "opaque") and flat[end : end + 1] in (
        b"&",
        b",",
        b";",
        b"|",
        b"<",
        b">",
        b"(",
        b")",
        b"{",
        b"}",
        b"[",
        b"]",
    ):
        line = flat[max(0, position - 200) : position]
        if _AT_LINE_START.search(line.rstrip(b"=: \t")) and (
            wide := _LINE.match(flat, position, position + MAX_VALUE_BYTES)
        ):
            cut = _FIELD_AFTER.search(flat, position, wide.end())
            wider = cut.start() if cut else wide.end()
            if b"(" not in flat[position:wider] or (
                named.label == "password" and not values.is_call(flat[position:wider])
            ):
                end = max(end, wider)
    while end > position and flat[end - 1] in b".:":
        end -= 1
    return end


def _is_said_alone(flat: bytes, position: int, end: int, named: NamedLabel, sign: bytes) -> bool:
    """After a colon a word may be prose: `password: must be …`. Alone on its line, or with a digit, it is a value."""
    value = flat[position:end]
    if sign not in (b":", b"") or not value.isalpha() or len(value) >= 16:
        return True
    rest = flat[end : end + 80].split(b"\n", 1)[0].split(b"\r", 1)[0].strip()
    return named.value == "any" and (not rest or rest[:1] in b",;#}\"'/)" or b":" in rest or b"=" in rest)


def _block(flat: bytes, position: int, named: NamedLabel) -> Iterator[Hit]:
    """The lines of a YAML block scalar."""
    indent = len(flat[position : position + 200]) - len(flat[position : position + 200].lstrip(b" \t"))
    if not indent:
        return
    start, end, prefix = position + indent, position, flat[position : position + indent]
    for line in flat[position : position + MAX_VALUE_BYTES].splitlines(keepends=True)[:MAX_LINES]:
        if not line.startswith(prefix) or line[: indent + 5] == prefix + b"-----":
            break
        end = position + len(line.rstrip())
        position += len(line)
    if end > start and values.VALUE_SHAPES[named.value](flat[start:end].replace(b"\n", b"").replace(b" ", b"")):
        yield start, end, named.label


def _items(flat: bytes, position: int, named: NamedLabel) -> Iterator[Hit]:
    """The items of a YAML list."""
    for _ in range(MAX_LINES):
        match = _ITEM.match(flat, position, position + MAX_VALUE_BYTES)
        if match is None or b": " in match[2]:
            return
        span = values.VALUE_SHAPES[named.value](match[2])
        if span:
            yield match.start(2) + span[0], match.start(2) + span[1], named.label
        position = match.end()


def _array(flat: bytes, position: int, named: NamedLabel) -> Iterator[Hit]:
    """The items of [a, "b", 'c']."""
    for _ in range(MAX_LINES):
        match = _ARRAY_ITEM.match(flat, position, position + MAX_VALUE_BYTES)
        if match is None:
            return
        start, end = match.span(match.lastindex or 0)
        span = values.VALUE_SHAPES[named.value](flat[start:end])
        if span:
            yield start + span[0], start + span[1], named.label
        position = match.end()


def find_flags(flat: bytes, data: bytes, where: Sequence[int]) -> Iterator[Found]:
    """--name VALUE, set NAME VALUE: `where` is inside the name or behind the blank after it."""
    for end in sorted(where):
        match = _FLAG.match(flat, max(0, end - 2))
        named = label_of(match[1].decode("ascii", "replace")) if match else None
        if named is None:
            before = flat[max(0, end - MAX_NAME_BYTES) : end].split()[-1:]
            named = label_of(before[0].decode("ascii", "replace")) if before and flat[end - 1 : end] in b" \t" else None
            match = _BLANKS.match(flat, end)
        if named is not None and match is not None:
            for hit in value_at(flat, data, match.end(), named, b"="):
                yield *hit, max(0, end - MAX_NAME_BYTES)
