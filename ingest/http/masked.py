"""The masking of one HTTP answer as its stream uses it: the request's head before, the answer's head, its body."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from ingest.http import heads
from masking.inline.body import BodyRewriter
from masking.inline.codings import narrow
from masking.inline.headers import CONDITIONS, VALIDATORS, mask_fields, without
from masking.inline.messages import MessageMasker
from masking.inline.model import Unreadable
from masking.inline.values import ValueMasker

PARTIAL_CONTENT: Final = 206
_PHRASES: Final = frozenset(status.phrase.encode("latin-1") for status in HTTPStatus)


def ask_for_whole(fields: heads.Fields, *, is_safe: bool) -> heads.Fields:
    """A request's head for an answer that will be masked: a whole one, in a coding that can be read.

    Conditions of a write stay: without them it would be another request.
    """
    if is_safe:
        fields = without(fields, CONDITIONS)
    accepted = [value for name, value in fields if name.lower() == b"accept-encoding"]
    if not accepted:
        return fields
    return heads.replaced(fields, b"Accept-Encoding", narrow(b",".join(accepted).decode("latin-1")).encode("latin-1"))


class MaskedAnswer:
    """What is masked in one answer. Whatever takes content may raise Unreadable: then nothing of it was passed on."""

    def __init__(self, mask: ValueMasker, why: Mapping[str, str]) -> None:
        self.why = why
        """The rules that demand it, as attributes."""
        self._mask = mask
        self.report = mask.new_report()
        self._body: BodyRewriter | None = None
        self._messages: MessageMasker | None = None

    def attributes(self) -> dict[str, str]:
        """What the next record says besides: why something was relayed unmasked since the last."""
        unread, self.report.unread = self.report.unread, ""
        return {"mask.unread": unread} if unread else {}

    def fields(self, fields: heads.Fields) -> heads.Fields:
        """A head or trailers with their values masked."""
        return mask_fields(self._mask, self.report, fields)

    def reason(self, phrase: bytes) -> bytes:
        """A status line's words, unless there is something in them."""
        return phrase if phrase in _PHRASES or self._mask.is_clean(phrase) else b""

    def begin_body(self, status: int, fields: heads.Fields) -> None:
        """The answer's head is known."""
        if status == PARTIAL_CONTENT and self._mask.order.is_strict:
            raise Unreadable("the answer is only a part of the content")
        self._body = BodyRewriter(
            self._mask,
            self.report,
            (heads.first_value(fields, b"content-type") or b"").decode("latin-1"),
            b",".join(value for name, value in fields if name.lower() == b"content-encoding").decode("latin-1"),
        )

    @property
    def body(self) -> BodyRewriter:
        """Of the answer that has begun."""
        if self._body is None:
            raise RuntimeError("the answer has not begun")
        return self._body

    def take_message(self, data: bytes, *, is_text: bool, is_final: bool) -> bytes:
        """A WebSocket message, or the next piece of a long one; what of it is certain."""
        if self._messages is None:
            self._messages = MessageMasker(self._mask, self.report)
        return self._messages.take(data, is_text=is_text, is_final=is_final)


def fit_fields(fields: heads.Fields, length: int | None) -> heads.Fields:
    """The head for a body that was masked: nothing that speaks of the unmasked one, its own length (None: unknown)."""
    kept = without(fields, VALIDATORS)
    if length is None:
        return without(kept, frozenset((b"content-length",)))
    return heads.replaced(kept, b"Content-Length", b"%d" % length)
