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
    rb"(?:[ \t]+\([^()\r\n]{1,40}\))?"
)
_OF: Final = (
    rb"(?:[ \t]+(?:for|to|of|on|at|in|from|with)[ \t]+(?!be\b)(?:the[ \t]+|my[ \t]+|our[ \t]+|your[ \t]+)?["
    rb"\w./@:'-]{1,60}"
    rb"(?:[ \t]+(?!is\b|was\b|are\b|=)[\w./@-]{1,40}){0,3}?)??"
    rb"(?:[ \t]+(?:that[ \t]+)?(?:you|we|i|he|she|they)[ \t]+[a-z']{2,12}(?:[ \t]+(?!is\b|was\b)[a-z]{2,12}){0,3}?)??"
)
_SAYS: Final = (
    rb"[ \t]*(?P<says>(?:,?[ \t]*(?:which|that)[ \t]+)?\b(?:is|was|are|will[ \t]+be|equals|reads|being|rema"
    rb"ins)\b(?:[ \t]+(?:now|still|currently|simply|just|set[ \t]+to"
    rb"|(?:changed|reset|updated|rotated)[ \t]+to|the[ \t]+following|as[ \t]+follows))?"
    rb"|,?[ \t]*\bit(?:'s|[ \t]+is)\b|\b(?:lautet|ist|est)\b|\b(?:(?:has|have)[ \t]+been[ \t]+)?"
    rb"(?:set|changed|reset|updated|rotated|switch"
    rb"ed|back|now)[ \t]+to\b"
    rb"|[:=]|[-=]>|\xe2\x80\x94|\xe2\x80\x93|-(?=[ \t]))[ \t]*[:=]?"
)
_QUOTE: Final = rb"[ \t]*(?:\r?\n[ \t]*)?(?P<quote>[\"'`*]{1,3}|\xe2\x80\x9c|\xe2\x80\x98)?"
_SAID: Final = re.compile(_WHAT + _OF + _SAYS + _QUOTE)
_QUOTE_HERE: Final = rb"[ \t]*(?P<quote>[\"'`*]{1,3}|\xe2\x80\x9c|\xe2\x80\x98)?"
_NAMED: Final = re.compile(_WHAT + rb"(?:[ \t]+(?:to|as|now|on)\b)?" + _QUOTE_HERE)
_FROM_TO: Final = re.compile(rb"(?i)[ \t]+from[ \t]+([^\s\"']{4,64})[ \t]+to[ \t]+([^\s\"']{4,64})")
_WORD_CHAIN: Final = re.compile(rb"(?i)[a-z]{3,}(?:-[a-z]{3,}){2,}")
_VALUE: Final = re.compile(rb"(?:[^\s\"'`<>\x00\xe2]|\xe2(?!\x80[\x98-\x9d\xb9\xba]))++")
_QUOTED: Final = re.compile(rb"[^\"'`*\r\n\xe2]++")
_IDENTIFIER: Final = re.compile(rb"[a-z]+(?:[_.][A-Za-z]+)+")
_CODE: Final = re.compile(rb"[&*]?[A-Za-z_][\w.]*[\[({]")
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
            if both and not values.is_placeholder(both[2]) and _is_telling(both[2]):
                yield *both.span(2), "password", begin
            continue
        named = label_of(name)
        if named is None:
            continue
        if (
            named.label == "password"
            and (both := _FROM_TO.match(flat, end - 1))
            and all(map(_is_telling, both.groups()))
        ):
            for low, high in (both.span(1), both.span(2)):
                yield low, low + len(flat[low:high].rstrip(b".,;:?)")), named.label, begin
            continue
        span = _said(flat, end - 1, named, is_vague=words[-1].lower() == b"pass")
        if span:
            done = span[1]
            yield *span, named.label, begin


def _is_telling(value: bytes) -> bool:
    """Has a digit or a sign, or is a chain of words: no word of the sentence."""
    return values.has_digit_or_sign(value) or _WORD_CHAIN.fullmatch(value) is not None


def _said(flat: bytes, position: int, named: NamedLabel, *, is_vague: bool) -> tuple[int, int] | None:
    """`is_vague`: the name is a word that sentences have for other things too; only what is plainly said counts."""
    for pattern in (_SAID,) if is_vague or flat[position : position + 1] == b"," else (_SAID, _NAMED):
        match = pattern.match(flat, position, position + 200)
        span = _value_said(flat, match.end(), named, match["quote"], is_said=pattern is _SAID) if match else None
        if span and (not is_vague or _is_mixed(flat[slice(*span)])):
            return span
    return None


def _is_mixed(value: bytes) -> bool:
    return values.has_digit(value) and values.has_letter(value)


def _value_said(
    flat: bytes, start: int, named: NamedLabel, quote: bytes | None, *, is_said: bool
) -> tuple[int, int] | None:
    if named.value in values.BARE_PATTERNS and named.value not in ("code", "answer"):
        found = values.BARE_PATTERNS[named.value].match(flat, start)
        if found is None or not _is_edge(flat, found.end()):
            return None
        low, high = found.span()
        return low, high - (flat[high - 1 : high] == b")" and b"(" not in found[0])
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
        or (not is_quoted and _CODE.match(value))
        or b"://" in value
        or value[:1] in b"-/<>({[$%@&="
        or values.is_call(value)
    ):
        return None
    has_digit = any(48 <= byte <= 57 for byte in value)
    has_mark = any(byte in b"!@#$%^&*+=~" for byte in value)
    if named.value in ("any", "answer", "auth"):
        if is_said and (is_quoted or has_digit or has_mark):
            good = len(value) >= 4
        elif is_said:
            good = values.is_phrase_of_words(value) or (
                _ends_sentence(flat, high) and len(value) >= 5 and not _is_adjective(value)
            )
        else:
            good = len(value) >= 6 and has_digit and (has_mark or not value.isdigit())
            good = good or (b"-" in value and values.is_phrase_of_words(value))
    elif is_said or is_quoted:
        good = len(value) >= 8 and (has_digit or values.is_random(value) or _WORD_CHAIN.fullmatch(value) is not None)
    else:
        good = len(value) >= 10 and has_digit and values.is_random(value, 10)
    return (low + span[0], low + span[1]) if good else None


def _is_adjective(value: bytes) -> bool:
    return (
        re.search(
            rb"(?i)(?:ed|ing|ly|ble|al|ive|ous|ful|less|ic|ary|ory|nt|secret|safe|strong|weak|long|short|good|bad|blank|stale|here|below|above"
            rb"|lich|tig|bar|laufen|falsch|toire|erte?)\Z",
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
