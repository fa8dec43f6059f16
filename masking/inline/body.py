"""Masks one HTTP body or WebSocket message. What it is is told by its head, and by its first bytes when they differ."""

from collections.abc import Iterator
from typing import Final

from masking.inline.charset import CharsetRewriter, charset_of
from masking.inline.codings import Decoding, Encoding, parse_codings
from masking.inline.event_stream import EventRewriter
from masking.inline.json_stream import JsonRewriter
from masking.inline.model import Report, Rewriter, Unreadable
from masking.inline.text import TextRewriter
from masking.inline.values import ValueMasker
from masking.payload import decode_payload

SNIFFED_BYTES: Final = 1024
"""As many are looked at when the head does not say what the content is."""

MAX_WHOLE_BYTES: Final = 8 << 20
"""What a body that is masked at once may expand to."""

_JSON_ENDS: Final = ("/json", "+json", "ndjson", "/json-seq", "/jsonlines", "/x-jsonlines", "/json5", "/x-json")
_TEXT_ENDS: Final = (
    "/xml",
    "+xml",
    "/javascript",
    "/x-javascript",
    "-urlencoded",
    "/yaml",
    "/x-yaml",
    "/graphql",
    "/sql",
)
_EVENTS: Final = "text/event-stream"
_OPENERS: Final = (b"{", b"[", b'"')
_BOM: Final = b"\xef\xbb\xbf"


class _Relay:
    """A Rewriter of what is passed on unmasked, since policy would rather have that than nothing."""

    is_holding = False

    def feed(self, data: bytes) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""

    def finish(self) -> bytes:
        return b""


class BodyRewriter:
    """Feed it a body's pieces; masked pieces come out, in the same coding and charset.

    Everything may raise Unreadable. An order that is not strict lets what cannot be read pass instead, and the report's
    `unread` says why; only a broken coding still raises.
    """

    def __init__(self, values: ValueMasker, report: Report, content_type: str = "", content_encoding: str = "") -> None:
        self._values = values
        self._report = report
        self._media = content_type.partition(";")[0].strip().lower()
        self._is_told = self._media == _EVENTS or self._media.endswith(_JSON_ENDS)
        self._charset = ""
        self._head = b""
        self._decoding: Decoding | None = None
        self._encoding: Encoding | None = None
        self._rewriter: Rewriter | None = None
        try:
            codings = parse_codings(content_encoding)
            self._charset = charset_of(content_type)
        except Unreadable as fault:
            self._rewriter = self._relay(fault)
            return
        if codings:
            self._decoding, self._encoding = Decoding(codings), Encoding(codings)

    @property
    def is_decided(self) -> bool:
        """Whether it is known what the body is: nothing but a broken coding or form can come in between now."""
        return self._rewriter is not None or self._is_told

    @property
    def is_holding(self) -> bool:
        """Whether something is held that a later `flush` would bring out though nothing came."""
        return self._rewriter is not None and self._rewriter.is_holding

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(what goes to the agent, the same as it reads without its coding), in slices."""
        for piece in self._decoding.decode(data) if self._decoding is not None else (data,):
            yield from self._shown(self._pass(piece))

    def flush(self) -> tuple[bytes, bytes]:
        """Nothing came for a while: what need not be held any longer."""
        masked = self._pass_head()
        masked += self._rewriter.flush() if self._rewriter is not None else b""
        return (self._encode(masked), masked)

    def finish(self) -> tuple[bytes, bytes]:
        """The rest."""
        if self._decoding is not None:
            self._decoding.finish()
        masked = self._pass_head()
        if self._rewriter is not None:
            masked += self._rewriter.finish()
        return (self._encoding.finish(masked) if self._encoding is not None else masked, masked)

    def rewrite_whole(self, data: bytes) -> tuple[bytes, bytes]:
        """A whole body at once; the very same bytes when nothing in it had to change."""
        if not data:
            return data, data
        content = self._decode_whole(data)
        if self._rewriter is None:
            form = f"{self._media};{self._charset}".encode()
            masked = self._values.mask_result(
                form, content, self._report, lambda report: self._mask_whole(content, report)
            )
        else:
            masked = self._mask_whole(content, self._report)
        if masked is None:
            return data, content
        return (self._encoding.finish(masked) if self._encoding is not None else masked, masked)

    # -- parts

    def _mask_whole(self, content: bytes, report: Report) -> bytes | None:
        """None when nothing had to change."""
        self._report = report
        before = report.total
        rewriter = self._rewriter = self._rewriter or self._choose(content)
        if isinstance(rewriter, JsonRewriter):
            masked = rewriter.rewrite_whole(content)
        else:
            masked = rewriter.feed(content) + rewriter.finish()
        return None if report.total == before else masked

    def _decode_whole(self, data: bytes) -> bytes:
        if self._decoding is None:
            return data
        content = bytearray()
        for piece in self._decoding.decode(data):
            content += piece
            if len(content) > MAX_WHOLE_BYTES:
                raise Unreadable("the content expands too far")
        self._decoding.finish()
        return bytes(content)

    def _pass(self, piece: bytes) -> bytes:
        if self._rewriter is None:
            self._head += piece
            if len(self._head) < SNIFFED_BYTES and not self._is_told:
                return b""
            return self._pass_head()
        return self._rewriter.feed(piece)

    def _pass_head(self) -> bytes:
        """What came before it was known what the body is."""
        if not self._head:
            return b""
        head, self._head = self._head, b""
        self._rewriter = self._choose(head)
        return self._rewriter.feed(head)

    def _shown(self, masked: bytes) -> Iterator[tuple[bytes, bytes]]:
        if masked:
            yield self._encode(masked), masked

    def _encode(self, masked: bytes) -> bytes:
        return self._encoding.encode(masked) if self._encoding is not None else masked

    def _choose(self, head: bytes) -> Rewriter:
        """JSON and event streams are told by the type; anything else is looked at."""
        if self._is_told:
            made = EventRewriter if self._media == _EVENTS else JsonRewriter
            return self._in_charset(made(self._values, self._report, ascii_only=bool(self._charset)))
        try:
            return self._by_content(head)
        except Unreadable as fault:
            return self._relay(fault)

    def _by_content(self, head: bytes) -> Rewriter:
        if not self._charset and head[:2] in (b"\xff\xfe", b"\xfe\xff"):
            self._charset = "utf-16"
        if self._charset:
            first = head.decode(self._charset, "replace").lstrip("\ufeff \t\r\n")[:1].encode("utf-8", "replace")
            return self._in_charset(self._by_first(first))
        if not self._is_text() and not _reads_as_text(head[:SNIFFED_BYTES]):
            raise Unreadable("the content is neither JSON nor text")
        return self._by_first(head.removeprefix(_BOM).lstrip()[:1])

    def _relay(self, fault: Unreadable) -> Rewriter:
        if self._values.order.is_strict:
            raise fault
        self._report.unread = str(fault)
        return _Relay()

    def _by_first(self, first: bytes) -> Rewriter:
        is_foreign = bool(self._charset)
        if first in _OPENERS and self._media != "text/html":
            return JsonRewriter(self._values, self._report, ascii_only=is_foreign)
        self._values.miss_columns(self._report)
        return TextRewriter(self._values, self._report)

    def _is_text(self) -> bool:
        return self._media.startswith("text/") or self._media.endswith(_TEXT_ENDS)

    def _in_charset(self, inner: Rewriter) -> Rewriter:
        return CharsetRewriter(inner, self._charset) if self._charset else inner


def _reads_as_text(head: bytes) -> bool:
    text, encoding = decode_payload(head)
    return text is not None and encoding == "utf-8"
