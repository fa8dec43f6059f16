"""What to replace in a text: spans, their order and overlaps, and the splice. Offsets are bytes."""

import re
from collections.abc import Sequence
from typing import Final

from mypy_extensions import i64

from masking.cards import CARD_LABEL, format_card
from masking.model import Tokens

TOKEN: Final = re.compile(rb"\xe2\x80\xb9[a-z][a-z0-9_]{1,40}:[a-z2-7]{16}\xe2\x80\xba")
_OPEN: Final = b"\xe2\x80\xb9"
MAX_TOKEN_BYTES: Final = 64
_ALNUM: Final = re.compile(rb"[0-9A-Za-z\x80-\xff]")
_IS_WORDLIKE: Final = bytes(byte > 127 or chr(byte).isalnum() or byte in b"_.+/%-" for byte in range(256))
_NON_DIGIT: Final = re.compile(rb"\D+")
_AROUND: Final = b" \t\r\n'\"`<>"  # what may stand around an address and belongs to the text
_NON_ALNUM: Final = re.compile(rb"[^0-9A-Za-z]+")


class Masked:
    """One value inside a span, as it will be reported."""

    __slots__ = ("label", "layers", "token")

    def __init__(self, label: str, token: str, layers: tuple[str, ...] = ()) -> None:
        self.label = label
        self.token = token
        self.layers = layers


class Span:
    """A stretch to replace. `value` is what the token is made of; `inner` and `replacement` are set for a wrapped
    run. `context_start` is where the match that told began (a key name, say)."""

    __slots__ = ("context_start", "end", "inner", "label", "layers", "priority", "replacement", "start", "value")

    def __init__(
        self,
        start: int,
        end: int,
        label: str,
        priority: int,
        value: bytes,
        context_start: int,
        layers: tuple[str, ...] = (),
        inner: tuple[Masked, ...] = (),
        replacement: bytes = b"",
    ) -> None:
        self.start = start
        self.end = end
        self.label = label
        self.priority = priority
        self.value = value
        self.context_start = context_start
        self.layers = layers
        self.inner = inner
        self.replacement = replacement

    @property
    def rank(self) -> tuple[int, int, int]:
        return (self.end - self.start, self.priority, len(self.layers))

    def cut(self, start: int, end: int, value: bytes) -> "Span":
        """Another stretch under the same label, whose token is made of `value`."""
        return Span(start, end, self.label, self.priority, value, self.context_start, self.layers)

    def moved(self, by: int) -> "Span":
        """The same in a text that begins so many bytes earlier."""
        return Span(
            self.start + by,
            self.end + by,
            self.label,
            self.priority,
            self.value,
            self.context_start + by,
            self.layers,
            self.inner,
            self.replacement,
        )


def normalize(value: bytes, how: str) -> bytes:
    """The form of a value that its token is made of, so that one value has one token however it is written."""
    match how:
        case "digits":
            return value if value.isdigit() else _NON_DIGIT.sub(b"", value)
        case "lower":
            return value.strip(_AROUND).lower()
        case "alnum":
            return (value if value.isalnum() else _NON_ALNUM.sub(b"", value)).upper()
    return value


def resolve(data: bytes, spans: list[Span], masked: Sequence[Span] = ()) -> list[Span]:
    """Disjoint spans in order. Overlapping ones become one that covers them all, under the label of the widest
    (then most specific); what is already masked (tokens in the text, and the spans in `masked`) stays as it is."""
    if masked or data.find(_OPEN) >= 0:
        tokens = sorted([*(m.span() for m in TOKEN.finditer(data)), *((span.start, span.end) for span in masked)])
        spans = [piece for span in spans for piece in _around_tokens(data, span, tokens)]
    if len(spans) == 1:
        return [_stretched(data, spans[0], spans[0].start, spans[0].end)]
    return _merged(data, spans)


def _merged(data: bytes, spans: list[Span]) -> list[Span]:
    clusters: list[tuple[Span, int, int]] = []
    for span in sorted(spans, key=lambda s: (s.start, -s.end)):
        if clusters and span.start < clusters[-1][2]:
            winner, start, end = clusters[-1]
            clusters[-1] = (max(winner, span, key=lambda s: s.rank), start, max(end, span.end))
        else:
            clusters.append((span, span.start, span.end))
    return [_stretched(data, *cluster) for cluster in clusters]


def any_touches_word(data: bytes, spans: list[Span]) -> bool:
    """Whether a span stands directly at what a detector would not have taken for an edge."""
    size = len(data)
    for span in spans:
        if span.end < size and _IS_WORDLIKE[data[span.end]]:
            return True
        if span.start > 0 and _IS_WORDLIKE[data[span.start - 1]]:
            return True
    return False


def is_in_token(data: bytes, offset: int) -> bool:
    """Whether an offset lies in a token that stands for a masked value: what its label says is no name.

    The whole token has to be there: behind a mere opening mark anybody could hide a password from its name.
    """
    opened = data.rfind(_OPEN, max(0, offset - MAX_TOKEN_BYTES), offset)
    token = TOKEN.match(data, opened) if opened >= 0 else None
    return token is not None and offset < token.end()


def stands_at(data: bytes, start: i64, part: bytes) -> bool:
    """`data.startswith(part, start)`, False before the beginning. Compiled, it compares what is short in less time than
    a call takes."""
    index: i64 = 0
    size: i64 = len(part)
    if start < 0 or start + size > len(data):
        return False
    while index < size:
        if data[start + index] != part[index]:
            return False
        index += 1
    return True


def blank(data: bytes, spans: Sequence[Span]) -> bytes:
    """`data` with the spans overwritten by as many bytes that no detector knows."""
    pieces: list[bytes] = []
    position = 0
    for span in spans:
        pieces += (data[position : span.start], b"\x01" * (span.end - span.start))
        position = span.end
    pieces.append(data[position:])
    return b"".join(pieces)


def _stretched(data: bytes, winner: Span, start: int, end: int) -> Span:
    """The winner over the whole cluster, and never through the middle of a character."""
    if (start < len(data) and data[start] > 127) or (end < len(data) and data[end] > 127):
        start, end = _char_start(data, start), _char_end(data, end)
    if (start, end) == (winner.start, winner.end):
        return winner
    return winner.cut(start, end, data[start:end])


def _char_start(data: bytes, offset: int) -> int:
    while 0 < offset < len(data) and data[offset] & 0xC0 == 0x80:
        offset -= 1
    return offset


def _char_end(data: bytes, offset: int) -> int:
    while offset < len(data) and data[offset] & 0xC0 == 0x80:
        offset += 1
    return offset


def _around_tokens(data: bytes, span: Span, tokens: list[tuple[int, int]]) -> list[Span]:
    """The pieces of a span outside the tokens in it, unless they are mere punctuation. A match that began inside
    a token took the token's label for a name."""
    if any(start < span.context_start < end for start, end in tokens):
        return []
    inside = [(start, end) for start, end in tokens if start < span.end and end > span.start]
    if not inside:
        return [span]
    edges = [span.start, *(edge for token in inside for edge in token), span.end]
    pieces = [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end]
    return [span.cut(start, end, data[start:end]) for start, end in pieces if _ALNUM.search(data, start, end)]


def replacement_of(span: Span, found: tuple[Masked, ...], data: bytes, cards: str) -> bytes:
    """What stands in the place of a span of `data`."""
    if span.replacement:
        return span.replacement
    if cards != "token" and span.label == CARD_LABEL and not span.inner and not span.layers:
        return format_card(data[span.start : span.end], found[0].token, keep_last_four=cards == "last4")
    return mark(found[0]) if len(found) == 1 else b"".join(map(mark, found))


def splice(
    data: bytes, spans: list[Span], tokens: Tokens, cards: str = "token"
) -> tuple[bytes, list[tuple[Span, tuple[Masked, ...]]]]:
    """`data` with each span replaced, and what was reported for each."""
    pieces: list[bytes] = []
    reports: list[tuple[Span, tuple[Masked, ...]]] = []
    position = 0
    for span in spans:
        found = span.inner or (Masked(span.label, tokens.token(span.value), span.layers),)
        pieces += (data[position : span.start], replacement_of(span, found, data, cards))
        reports.append((span, found))
        position = span.end
    pieces.append(data[position:])
    return b"".join(pieces), reports


def mark(masked: Masked) -> bytes:
    """What stands in the text: ‹label:token›."""
    return f"‹{masked.label}:{masked.token}›".encode()
