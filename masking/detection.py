"""The second and third tier: from a gate that hit to the spans of one detector.

A text is looked at in its *flattened* form, which has the same length: escapes of line ends and terminal colours would
otherwise stand glued to what they precede.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from masking.expressions import Expression, Match, least_bytes_of
from masking.model import Detector, Hit
from masking.plain import PLAIN
from masking.prefilter import EDGE
from masking.spans import TOKEN, Span, normalize

CONTEXT_BYTES: Final = 64  # how near a context word must stand before a value, and half of it after
_BACKSLASH: Final = 0x5C  # a number: asked for bytes, `in` first takes them for a number in vain, which costs more
_ESCAPE: Final = 0x1B
_OF_TOKENS: Final = 0xE2, 0xBA
_ANSI: Final = re.compile(rb"\x1b\[[0-9;?]{0,16}[A-Za-z]")
_ESCAPED: Final = ((b"\\n", b" \n"), (b"\\r", b" \r"), (b"\\t", b" \t"))
_TOKEN_PART: Final = re.compile(  # whole, or cut off by the window's edge: its label is no context
    TOKEN.pattern
    + rb"|\xe2\x80\xb9[a-z0-9_]{0,41}(?::[a-z2-7]{0,16})?(?:\xe2\x80?)?\Z"
    + rb"|\A[\x80\xb9]{0,2}[a-z0-9_]{0,41}:?[a-z2-7]{0,16}\xe2\x80\xba"
)
_SHORT_WORD: Final = 4
_WORD: Final = re.compile(rb"\w")

# (flattened text, text, where the gate hit or None) -> spans
Context = Callable[[bytes, int, int], bool]
Look = Callable[[bytes, bytes, Sequence[int] | None], list[Span]]


def flatten(data: bytes) -> bytes:
    """The same length, with escaped line ends and tabs as such and without terminal colours."""
    if _BACKSLASH in data:
        for escaped, plain in _ESCAPED:
            data = data.replace(escaped, plain)
    if _ESCAPE in data:
        data = _ANSI.sub(lambda match: b" " * len(match[0]), data)
    return data


def look_of(detector: Detector) -> Look:
    """How one detector looks at a text in which its gate hit."""
    if detector.finder is not None:
        return _finder_look(detector)
    return _token_look(detector) if detector.token is not None else _pattern_look(detector)


def _pattern_look(detector: Detector) -> Look:
    pattern: Expression = detector.pattern
    validator, group, told = detector.validator, detector.group, _Told(detector)
    least = least_bytes_of(pattern.pattern)
    is_plain = PLAIN.get(pattern.pattern) if group == 1 else None
    is_near = context_of(detector.context)

    def look(flat: bytes, data: bytes, _where: Sequence[int] | None) -> list[Span]:
        spans: list[Span] = []
        size = len(flat)
        if size < least:
            return spans
        if is_plain is not None and is_plain(flat):
            if is_near is None or is_near(flat, 0, size):
                whole = Match(pattern, flat, [(0, size), (0, size)])
                _add_spans(spans, told, data, validator(flat, whole, group), 0)
            return spans
        position = pattern.next_start(flat, -1, 0)
        while position >= 0:
            match = pattern.search(flat, position)
            if match is None:
                break
            start, end = match.span()
            if is_near is None or is_near(flat, start, end):
                _add_spans(spans, told, data, validator(flat, match, group), start)
            position = pattern.next_start(flat, position, end)
        return spans

    return look


def _token_look(detector: Detector) -> Look:
    everywhere = _pattern_look(detector)
    assert detector.token is not None  # noqa: S101 look_of asked
    match_at, validator, is_near = detector.token.match, detector.validator, context_of(detector.context)
    told = _Told(detector)

    def look(flat: bytes, data: bytes, where: Sequence[int] | None) -> list[Span]:
        if where is None:
            return everywhere(flat, data, None)
        spans: list[Span] = []
        end = 0
        for start in where:
            if start < end or (start and _WORD.match(flat, start - 1)):
                continue
            match = match_at(flat, start)
            if match is None or (is_near is not None and not is_near(flat, start, match.end())):
                continue
            end = match.end()
            _add_spans(spans, told, data, validator(flat, match, 1), start)
        return spans

    return look


def _finder_look(detector: Detector) -> Look:
    assert detector.finder is not None  # noqa: S101 look_of asked
    find, gates, told = detector.finder, [Expression(gate) for gate in detector.gates], _Told(detector)

    def look(flat: bytes, data: bytes, where: Sequence[int] | None) -> list[Span]:
        if where is None:
            framed = b"".join((EDGE, flat, EDGE))
            where = sorted({match.end() - 1 for gate in gates for match in gate.finditer(framed)})
        return [
            _span(told, data, start, end, label, begin)
            for start, end, label, begin in find(flat, data, where)
            if start < end
        ]

    return look


class _Told:
    """What a detector says of all that it finds."""

    __slots__ = ("is_plain", "label", "normalize", "priority")

    def __init__(self, detector: Detector) -> None:
        self.label = detector.label
        self.priority = detector.priority
        self.normalize = detector.normalize
        self.is_plain = detector.normalize == "none"


def _add_spans(spans: list[Span], told: _Told, data: bytes, hits: Sequence[Hit], context_start: int) -> None:
    for start, end, label in hits:
        if start < end:
            spans.append(_span(told, data, start, end, label, context_start))


def _span(told: _Told, data: bytes, start: int, end: int, label: str | None, context_start: int) -> Span:
    value = data[start:end] if told.is_plain else normalize(data[start:end], told.normalize)
    return Span(start, end, label or told.label, told.priority, value, context_start)


def context_of(words: Sequence[bytes]) -> Context | None:
    """Whether one of the words stands near; those of up to four letters only as words of their own."""
    if not words:
        return None
    own = b"|".join(re.escape(word) for word in words if len(word) <= _SHORT_WORD)
    any_ = b"|".join(re.escape(word) for word in words if len(word) > _SHORT_WORD)
    parts = [rb"(?<![a-z])(?:" + own + rb")(?![a-z])"] if own else []
    search = re.compile(b"|".join([*parts, any_] if any_ else parts)).search

    def is_near(data: bytes, start: int, end: int) -> bool:
        around = data[max(0, start - CONTEXT_BYTES) : end + CONTEXT_BYTES // 2]
        if _OF_TOKENS[0] in around or _OF_TOKENS[1] in around:
            around = _TOKEN_PART.sub(b"", around)
        return search(around.lower()) is not None

    return is_near
