"""Secrets and personal data in sentences: `the password is hunter2`, `use token abc… for`, `SSN 536-22-1234`."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from masking import values
from masking.model import Found
from masking.names import NamedLabel, label_of
from masking.spans import is_in_token

_WHAT: Final = (
    rb"(?i)(?:'s)?(?:[ \t]+(?:number|num|no|nr|id|code|value|string|details?))?[.#]{0,2}"
    rb"(?:[ \t]*\([^()\r\n]{1,40}\))?"
)
_OF: Final = (
    rb"(?:[ \t]+(?:for|to|of|on|at|in|from|with)[ \t]+(?!be\b)(?:the[ \t]+|my[ \t]+|our[ \t]+|your[ \t]+)?["
    rb"\w./@:'-]{1,60}"
    rb"(?:[ \t]+(?!is\b|was\b|are\b|=)[\w./@-]{1,40}){0,3}?)??"
)
_SAYS: Final = (
    rb"[ \t]*(?P<says>(?:,?[ \t]*(?:which|that)[ \t]+)?\b(?:is|was|are|will[ \t]+be|equals|reads|being|rema"
    rb"ins)\b(?:[ \t]+(?:now|still|currently|simply|just|set[ \t]+to"
    rb"|changed[ \t]+to|the[ \t]+following|as[ \t]+follows))?|\b(?:set|changed|reset|updated|rotated|switch"
    rb"ed|back|now)[ \t]+to\b"
    rb"|[:=]|[-=]>|\xe2\x80\x94|\xe2\x80\x93|-(?=[ \t]))[ \t]*[:=]?"
)
_QUOTE: Final = rb"[ \t]*(?:\r?\n[ \t]*)?(?P<quote>[\"'`*]{1,3}|\xe2\x80\x9c|\xe2\x80\x98)?"
_SAID: Final = re.compile(_WHAT + _OF + _SAYS + _QUOTE)
_NAMED: Final = re.compile(_WHAT + rb"(?:[ \t]+(?:to|as|now|on)\b)?" + _QUOTE)
_VALUE: Final = re.compile(rb"(?:[^\s\"'`<>\x00\xe2]|\xe2(?!\x80[\x98-\x9d\xb9\xba]))++")
_QUOTED: Final = re.compile(rb"[^\"'`*\r\n\xe2]++")
_IDENTIFIER: Final = re.compile(rb"[a-z]+(?:[_.][a-z]+)+")
_TAIL: Final = b".,;:!?)]}"
_COMMON: Final = re.compile(
    rb"(?i)[a-z]+(?:'[a-z]+|n't|ed|ing|ly|ion|able|ible|ment|ness|ous|ful|less|ity|ies|ers?)?|[a-z]{1,3}"
)
_AND_PASSWORD: Final = re.compile(
    rb"(?i)[ \t]*(?:(?:are|is|were)\b[ \t]*)?[:=]?[ \t]*"
    rb"([A-Za-z0-9._@-]{2,40})[ \t]*[/|:][ \t]*(?!/)([^\s\"'<>,;]{4,64})"
)


def find_prose(flat: bytes, data: bytes, where: Sequence[int]) -> Iterator[Found]:
    """Values that a sentence gives after naming them; `where` is behind the sign that follows the name."""
    done = 0
    for end in sorted(where):
        if end - 1 < done or end > len(flat):
            continue
        if is_in_token(flat, end):
            continue
        begin = max(0, end - 40)
        words = re.findall(rb"[\w'-]+", flat[begin : end - 1])[-3:]
        name = b" ".join(words).replace(b"'s", b"s").replace(b"'", b"").decode("ascii", "replace")
        if words and words[-1].lower() in (b"credentials", b"creds", b"login"):
            both = _AND_PASSWORD.match(flat, end - 1)
            if both and not values.is_placeholder(both[2]) and any(48 <= b <= 57 or b in b"!@#$%^&*" for b in both[2]):
                yield *both.span(2), "password", begin
            continue
        named = label_of(name)
        if named is None:
            continue
        span = _said(flat, end - 1, named)
        if span:
            done = span[1]
            yield *span, named.label, begin


def _said(flat: bytes, position: int, named: NamedLabel) -> tuple[int, int] | None:
    for pattern in (_SAID, _NAMED):
        match = pattern.match(flat, position, position + 200)
        span = _value_said(flat, match.end(), named, match["quote"], is_said=pattern is _SAID) if match else None
        if span:
            return span
    return None


def _value_said(
    flat: bytes, start: int, named: NamedLabel, quote: bytes | None, *, is_said: bool
) -> tuple[int, int] | None:
    if named.value in values.BARE_PATTERNS and named.value != "code":
        found = values.BARE_PATTERNS[named.value].match(flat, start)
        return found.span() if found and _is_edge(flat, found.end()) else None
    value = (_QUOTED if quote else _VALUE).match(flat, start, start + 4096)
    if value is None:
        return None
    low, high = value.span()
    while not quote and high > low and flat[high - 1] in _TAIL:
        high -= 1
    return _judged(flat, low, high, named, is_said=is_said, is_quoted=quote is not None)


def _judged(
    flat: bytes, low: int, high: int, named: NamedLabel, *, is_said: bool, is_quoted: bool
) -> tuple[int, int] | None:
    value = flat[low:high]
    span = values.VALUE_SHAPES[named.value](value)
    if (
        span is None
        or _IDENTIFIER.fullmatch(value)
        or b"://" in value
        or value[:1] in b"-/<>({[$%@&="
        or values.is_call(value)
    ):
        return None
    has_digit = any(48 <= byte <= 57 for byte in value)
    has_mark = any(byte in b"!@#$%^&*+=~" for byte in value)
    if named.value in ("any", "auth"):
        if is_said and (is_quoted or has_digit or has_mark):
            good = len(value) >= 4
        elif is_said:
            good = _ends_sentence(flat, high) and len(value) >= 5 and not _is_adjective(value)
        else:
            good = len(value) >= 6 and has_digit and (has_mark or not value.isdigit())
    elif is_said or is_quoted:
        good = len(value) >= 8 and (has_digit or values.is_random(value))
    else:
        good = len(value) >= 10 and has_digit and values.is_random(value, 10)
    return (low + span[0], low + span[1]) if good else None


def _is_adjective(value: bytes) -> bool:
    return (
        re.search(
            rb"(?i)(?:ed|ing|ly|ble|al|ive|ous|ful|less|ic|ary|ory|nt|secret|safe|strong|weak|long|short|good|bad|blank|stale|here|below|above)\Z",
            value,
        )
        is not None
    )


def _ends_sentence(flat: bytes, end: int) -> bool:
    rest = flat[end : end + 2]
    return not rest or rest[:1] in b".,;!\r\n" or rest == b" ("


def _is_edge(flat: bytes, end: int) -> bool:
    following = flat[end : end + 1]
    return not (following.isalnum() or following in (b"_", b"%"))
