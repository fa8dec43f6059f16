"""Values in JSON that another value beside them tells: {"name": "DB_PASSWORD", "value": "…"},
{"password": {"value": "…"}}, the data of a Secret object of Kubernetes, the private parts of a JSON web key.

Looked for in the bytes of a whole document, JSON inside JSON strings included: value by value nothing tells them.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from mypy_extensions import i64

from masking.byte_kinds import table_of
from masking.kubernetes import find_kubernetes
from masking.model import Found, Hit
from masking.names import label_of, secret_span
from masking.spans import stands_at
from masking.validators import check_random

MAX_VALUE_BYTES: Final = 65_536
_QUOTE: Final = rb'\\{0,7}"'
_BLANK: Final = rb"(?:\s|\\{1,7}[nrt]){0,80}+"  # also as escapes
_COLON: Final = _QUOTE + _BLANK + b":" + _BLANK + _QUOTE
_COMMA: Final = _BLANK + b"," + _BLANK
_NAME: Final = _QUOTE + rb"[A-Za-z_-]{1,40}" + _COLON + rb"([A-Za-z_/$.][\w.\-/ ]{0,127})" + _QUOTE
_VALUE: Final = _QUOTE + rb"(?:parameter_?)?(?:value|val|content|default)(?:string)?" + _COLON + rb'([^"\\]++)'
_SCALAR: Final = rb"(?:[\w.+-]{1,40}|" + _QUOTE + rb'[^"\\]{0,200}' + _QUOTE + b")"
_BETWEEN: Final = (
    _COMMA + b"(?:" + _QUOTE + rb"[\w-]{1,40}" + _QUOTE + _BLANK + b":" + _BLANK + _SCALAR + _COMMA + b"){0,3}?"
)
_PAIR: Final = re.compile(b"(?i)" + _NAME + _BETWEEN + _VALUE)
_RIAP: Final = re.compile(b"(?i)" + _VALUE + _QUOTE + _BETWEEN + _NAME)
# An object that holds the value of its name: settings, items of DynamoDB and Firestore, comparisons of query languages.
_HELD: Final = (
    rb"(?:value|val|content|default|plaintext|secretstring|stringvalue|integervalue|s|n"
    rb"|\$eq|eq|_eq|equals|set|term|query)"
)
_MEMBERS: Final = b"(?:" + _QUOTE + rb"[\w-]{1,40}" + _QUOTE + _BLANK + b":" + _BLANK + _SCALAR + _COMMA + b"){0,3}?"
_OBJECT: Final = re.compile(
    b"(?i)" + _QUOTE + rb"([A-Za-z_][\w.\- ]{0,63})" + _QUOTE + _BLANK + b":" + _BLANK + rb"\{" + _BLANK
    + _MEMBERS + _QUOTE + _HELD + _COLON + rb'([^"\\]++)'
)  # fmt: skip
# What each match of it has in it, behind a colon and a brace, and most documents have nowhere.
_HOLDS: Final = re.compile(b"(?i)" + _BLANK + _MEMBERS + _QUOTE + _HELD + _COLON + rb'[^"\\]')
# What each byte may be the rarest one of, and what can stand before a value's brace.
_OF_ALUE: Final = 1
_OF_EFAULT: Final = 2
_OF_ONTENT: Final = 3
_OF_SECRET: Final = 4
_OF_KTY: Final = 5
_BRACE: Final = 6
_BLANK_BYTE: Final = 7
_BEFORE_VALUE: Final = 8  # a colon, or the last letter of an escaped blank behind one
_KINDS: Final = table_of(
    (_OF_ALUE, b"uU"),
    (_OF_EFAULT, b"f"),
    (_OF_ONTENT, b"o"),
    (_OF_SECRET, b"S"),
    (_OF_KTY, b"k"),
    (_BRACE, b"{"),
    (_BLANK_BYTE, b" \t\n\r\x0b\x0c"),
    (_BEFORE_VALUE, b":nrt"),
)
_HAS_NAMED: Final = 1
_HAS_HELD: Final = 2
_HAS_SECRET: Final = 4
_HAS_KEY: Final = 8
_SECRET: Final = re.compile(rb'kind\\{0,7}"\s{0,40}:\s{0,40}\\{0,7}"Secret(?:List)?\\{0,7}"')
_KEY: Final = re.compile(_QUOTE + rb"(?:d|p|q|dp|dq|qi|k)" + _COLON + rb"([A-Za-z0-9_-]{20,})" + _QUOTE)
_KUBERNETES: Final = "kubernetes_secret"
_PRIVATE_KEY: Final = "private_key"


def find_sibling_values(data: bytes) -> list[Hit]:
    """Disjoint, rising. Each is all or a part of the content of one string, and holds no escape."""
    signs = signs_in(data)
    if not signs:
        return []
    found: list[Hit] = []
    if signs & _HAS_NAMED:
        found += _named(data)
    if signs & _HAS_HELD:
        found += _held(data)
    if signs & _HAS_SECRET:
        where = [match.end() for match in _SECRET.finditer(data)]
        found += [(start, end, _KUBERNETES) for start, end, _, _ in find_kubernetes(data, data, where)]
    if signs & _HAS_KEY:
        found += [(*hit[:2], _PRIVATE_KEY) for match in _KEY.finditer(data) for hit in check_random(data, match, 1)]
    return list(_disjoint(sorted(found, key=lambda hit: hit[:2])))


def signs_in(data: bytes) -> int:
    """Which of the searches are worth their while: bits. They cost much more than this one pass, and most documents
    have nothing for any of them."""
    signs: i64 = 0
    position: i64 = 0
    size: i64 = len(data)
    kinds = _KINDS
    while position < size:
        kind = kinds[data[position]]
        if kind != 0 and kind < _BLANK_BYTE and (kind != _BRACE or not signs & _HAS_HELD):
            signs |= _sign_at(data, position, kind)
        position += 1
    return int(signs)


def _sign_at(data: bytes, position: i64, kind: int) -> i64:
    """What the byte at `position` and those around it tell."""
    if kind == _OF_ONTENT:
        return _HAS_NAMED if stands_at(data, position, b"ontent") else 0
    if kind == _BRACE:
        return _HAS_HELD if _may_hold(data, position) else 0
    if kind == _OF_ALUE:
        is_word = stands_at(data, position - 2, b"alue") or stands_at(data, position - 3, b"VALUE")
        return _HAS_NAMED if is_word else 0
    if kind == _OF_EFAULT:
        return _HAS_NAMED if stands_at(data, position - 1, b"efault") else 0
    if kind == _OF_SECRET:
        return _HAS_SECRET if stands_at(data, position, b"Secret") else 0
    return _HAS_KEY if stands_at(data, position - 1, b'"kty') else 0


def find_siblings(_flat: bytes, data: bytes, _where: Sequence[int]) -> Iterator[Found]:
    """The same in a text that holds JSON somewhere, but for what other detectors find there."""
    if data.find(b"{") < 0:
        return
    pairs = list(_named(data))
    if signs_in(data) & _HAS_HELD:
        pairs += _held(data)
    for start, end, label in _disjoint(sorted(pairs, key=lambda hit: hit[:2])):
        yield start, end, label, start


def _named(data: bytes) -> Iterator[Hit]:
    for pattern, name, value in ((_PAIR, 1, 2), (_RIAP, 2, 1)):
        for match in pattern.finditer(data):
            yield from _judged(data, match[name], *match.span(value))


def _held(data: bytes) -> Iterator[Hit]:
    for match in _OBJECT.finditer(data):
        yield from _judged(data, match[1], *match.span(2))


def _may_hold(data: bytes, brace: i64) -> bool:
    """Whether a match of _OBJECT may have its brace here."""
    before: i64 = brace - 1
    while before >= 0 and _KINDS[data[before]] == _BLANK_BYTE:
        before -= 1
    return before >= 0 and _KINDS[data[before]] == _BEFORE_VALUE and _HOLDS.match(data, brace + 1) is not None


def _judged(data: bytes, name: bytes, start: int, end: int) -> Iterator[Hit]:
    named = label_of(name.decode("ascii", "replace")) if end - start <= MAX_VALUE_BYTES else None
    part = secret_span(named, data[start:end]) if named is not None else None
    if named is not None and part is not None:
        yield start + part[0], start + part[1], named.label


def _disjoint(hits: list[Hit]) -> Iterator[Hit]:
    last = 0
    for hit in hits:
        if hit[0] >= last:
            yield hit
            last = hit[1]
