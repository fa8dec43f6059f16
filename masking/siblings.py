"""Values in JSON that another value beside them tells: {"name": "DB_PASSWORD", "value": "…"},
{"password": {"value": "…"}}, the data of a Secret object of Kubernetes, the private parts of a JSON web key.

Looked for in the bytes of a whole document, JSON inside JSON strings included: value by value nothing tells them.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from masking.kubernetes import find_kubernetes
from masking.model import Found, Hit
from masking.names import label_of, secret_span
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
_BLANKS: Final = frozenset(b" \t\n\r\x0b\x0c")
_BEFORE_VALUE: Final = frozenset(b":nrt")  # a colon, or the last letter of an escaped blank behind one
_SECRET: Final = re.compile(rb'kind\\{0,7}"\s{0,40}:\s{0,40}\\{0,7}"Secret(?:List)?\\{0,7}"')
_KEY: Final = re.compile(_QUOTE + rb"(?:d|p|q|dp|dq|qi|k)" + _COLON + rb"([A-Za-z0-9_-]{20,})" + _QUOTE)
_KUBERNETES: Final = "kubernetes_secret"
_PRIVATE_KEY: Final = "private_key"


def find_sibling_values(data: bytes) -> list[Hit]:
    """Disjoint, rising. Each is all or a part of the content of one string, and holds no escape."""
    found: list[Hit] = []
    if _has(data, b"alue") or _has(data, b"ontent") or _has(data, b"efault") or _has(data, b"VALUE"):
        found += _named(data)
    found += _held(data)
    if _has(data, b"Secret"):
        where = [match.end() for match in _SECRET.finditer(data)]
        found += [(start, end, _KUBERNETES) for start, end, _, _ in find_kubernetes(data, data, where)]
    if _has(data, b'"kty'):
        found += [(*hit[:2], _PRIVATE_KEY) for match in _KEY.finditer(data) for hit in check_random(data, match, 1)]
    return list(_disjoint(sorted(found, key=lambda hit: hit[:2])))


def find_siblings(_flat: bytes, data: bytes, _where: Sequence[int]) -> Iterator[Found]:
    """The same in a text that holds JSON somewhere, but for what other detectors find there."""
    pairs = [*_named(data), *_held(data)] if _has(data, b"{") else []
    for start, end, label in _disjoint(sorted(pairs, key=lambda hit: hit[:2])):
        yield start, end, label, start


def _has(data: bytes, part: bytes) -> bool:
    """`part in data`, which takes the part for a number first, in vain: that costs more than the search."""
    return data.find(part) >= 0


def _named(data: bytes) -> Iterator[Hit]:
    for pattern, name, value in ((_PAIR, 1, 2), (_RIAP, 2, 1)):
        for match in pattern.finditer(data):
            yield from _judged(data, match[name], *match.span(value))


def _held(data: bytes) -> Iterator[Hit]:
    if not _may_hold(data):
        return
    for match in _OBJECT.finditer(data):
        yield from _judged(data, match[1], *match.span(2))


def _may_hold(data: bytes) -> bool:
    """Whether _OBJECT is worth a search. It costs much more than this."""
    brace = data.find(b"{")
    while brace >= 0:
        before = brace - 1
        while before >= 0 and data[before] in _BLANKS:
            before -= 1
        if before >= 0 and data[before] in _BEFORE_VALUE and _HOLDS.match(data, brace + 1):
            return True
        brace = data.find(b"{", brace + 1)
    return False


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
