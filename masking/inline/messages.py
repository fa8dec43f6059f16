"""Masks the messages of one direction of a WebSocket: each by itself, then what only the ones before it tell.

No message is held back, since the peer may wait for it: of a secret that lies over several messages the part up to the
message that makes it recognizable is shown already. From there on it is masked, under the token of the whole value.
"""

from typing import Final

from masking.inline.body import BodyRewriter
from masking.inline.deltas import DeltaHold
from masking.inline.model import Report
from masking.inline.values import ValueMasker

CONTEXT_BYTES: Final = 256
"""So much of the end of a text is remembered."""

PLACE: Final = "message, begun in an earlier one"
_OPENERS: Final = (b"{", b"[")


class TextJoin:
    """Plain text that goes on from message to message. Pieces are masked by themselves before."""

    def __init__(self, values: ValueMasker, report: Report) -> None:
        self._values = values
        self._report = report
        self._shown = b""

    def take(self, piece: bytes) -> bytes:
        """The next piece, without what turns out to be the rest of a secret."""
        low = len(self._shown)
        text = self._shown + piece
        spans = [
            span if span.start >= low else span.cut(low, span.end, span.value)
            for span in (self._values.find_spans(text) if low else ())
            if span.context_start < low < span.end
        ]
        self._shown = _end_of(text)
        if not spans:
            return piece
        masked, findings = self._values.splice(text, spans)
        self._report.add(findings, PLACE)
        return masked[low:]


class MessageMasker:
    """Feed it messages whole, or long ones in parts; masked ones come out. Raises Unreadable."""

    def __init__(self, values: ValueMasker, report: Report) -> None:
        self._values = values
        self._report = report
        self._long: BodyRewriter | None = None
        self._begin()

    def take(self, data: bytes, *, is_text: bool, is_final: bool) -> bytes:
        """A message, or the next part of a long one; what of it is certain."""
        if self._long is None and is_final:
            shown = BodyRewriter(self._values, self._report, _kind(is_text)).rewrite_whole(data)[1]
            return self._join(shown) if is_text else shown
        if self._long is None:
            self._long = BodyRewriter(self._values, self._report, _kind(is_text))
        shown = b"".join(content for _, content in self._long.feed(data))
        if is_final:
            shown += self._long.finish()[1]
            self._long = None
            self._begin()  # what follows a long message is not joined to it
        return shown

    def _begin(self) -> None:
        self._text = TextJoin(self._values, self._report)
        self._deltas = DeltaHold[None](self._values, self._report, PLACE)

    def _join(self, message: bytes) -> bytes:
        if message.lstrip()[:1] in _OPENERS:
            return self._deltas.pass_on(None, message)
        return self._text.take(message)


def _kind(is_text: bool) -> str:
    return "text/plain" if is_text else ""


def _end_of(text: bytes) -> bytes:
    """The last bytes, from a character's beginning on."""
    start = max(0, len(text) - CONTEXT_BYTES)
    while start < len(text) and text[start] & 0xC0 == 0x80:
        start += 1
    return text[start:]
