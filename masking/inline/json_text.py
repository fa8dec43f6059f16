"""JSON string tokens: their text, and text as a token again; whole, or in pieces when they are long."""

import codecs
import json
import re
from typing import Final

from mypy_extensions import i64

from masking.inline.model import Report
from masking.inline.text import TextRewriter
from masking.inline.values import ValueMasker

_HEX: Final = rb"[0-9A-Fa-f]"
_PAIR: Final = rb"u([dD][89abAB]%(x)s{2})\\u([dD][c-fC-F]%(x)s{2})" % {b"x": _HEX}
_ESCAPE: Final = re.compile(rb'\\(?:%s|u(%s{4})|(["\\/bfnrt]))' % (_PAIR, _HEX))
# One group: the last element. An escape that the end may have cut off is no element.
_CONTENT: Final = re.compile(
    rb'(?:([^"\\]++|\\%s|\\u%s{4}|\\u(?=%s{0,3}[^0-9A-Fa-f])|\\[^u]))*+' % (_PAIR.replace(b"(", b"(?:"), _HEX, _HEX),
    re.DOTALL,
)
_HIGH_HALF: Final = re.compile(rb"\\u[dD][89abAB]%s{2}" % _HEX)
_PLAIN: Final = {b'"': b'"', b"\\": b"\\", b"/": b"/", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_SHORT: Final = {value: b"\\" + name for name, value in _PLAIN.items() if name != b"/"}
_MUST_ESCAPE: Final = re.compile(rb'[\x00-\x1f"\\]')
_REPLACEMENT: Final = "\ufffd".encode()
_QUOTE: Final = 0x22
_BLANK: Final = 0x20
_BACKSLASH: Final = 0x5C


def decode_string(token: bytes) -> str:
    """The text of a string token, quotes included. Never raises: what is no JSON is taken as it stands."""
    return unescape(token[1:-1]).decode("utf-8", "replace")


def encode_string(data: bytes, *, ascii_only: bool = False) -> bytes:
    """A string token of UTF-8 text."""
    return json.dumps(data.decode("utf-8", "replace")).encode() if ascii_only else b'"' + escape(data) + b'"'


def unescape(content: bytes) -> bytes:
    """The content of a string token as UTF-8; half a surrogate pair becomes U+FFFD."""
    return _ESCAPE.sub(_resolve, content) if _BACKSLASH in content else content


def escape(content: bytes) -> bytes:
    """UTF-8 as the content of a string token."""
    if not _must_escape(content):
        return content
    return _MUST_ESCAPE.sub(lambda found: _SHORT.get(found[0]) or b"\\u%04x" % found[0][0], content)


def _must_escape(content: bytes) -> bool:
    position: i64 = 0
    size: i64 = len(content)
    while position < size:
        byte = content[position]
        if byte < _BLANK or byte == _QUOTE or byte == _BACKSLASH:
            return True
        position += 1
    return False


def _resolve(found: re.Match[bytes]) -> bytes:
    high, low, code, plain = found.groups()
    if plain is not None:
        return _PLAIN[plain]
    if code is None:
        return bytes.fromhex((high + low).decode()).decode("utf-16-be").encode()
    point = int(code, 16)
    return _REPLACEMENT if point & 0xF800 == 0xD800 else chr(point).encode()


class LongString:
    """A string value too long to hold: its content is masked as it comes. Begins after the opening quote.

    `is_hidden`: nothing of it is shown; something stands in its place already.
    """

    def __init__(
        self, values: ValueMasker, report: Report, place: str, *, is_hidden: bool = False, ascii_only: bool = False
    ) -> None:
        self._text = TextRewriter(values, report, place)
        self._is_hidden = is_hidden
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace") if ascii_only else None
        self._held = b""
        self.rest: bytes | None = None
        """What follows the closing quote, once that was seen."""

    def feed(self, data: bytes) -> bytes:
        """The string's masked content so far, still in JSON's form; its closing quote at the end."""
        data = self._held + data
        found = _CONTENT.match(data)
        end, (last, _) = (found.end(), found.span(1)) if found else (0, (0, 0))
        if end < len(data) and data[end] == _QUOTE:
            self.rest, self._held = data[end + 1 :], b""
            return self._show(data[:end], is_last=True) + b'"'
        if last >= 0 and _HIGH_HALF.fullmatch(data, last, end):
            end = last  # its other half may come
        self._held = data[end:]
        return self._show(data[:end])

    def cut_off(self) -> bytes:
        """The rest when the closing quote never came."""
        rest, self._held = self._held, b""
        return self._show(rest, is_last=True)

    def _show(self, content: bytes, *, is_last: bool = False) -> bytes:
        if self._is_hidden:
            return b""
        masked = self._text.feed(unescape(content))
        if is_last:
            masked += self._text.finish()
        if self._decoder is None:
            return escape(masked)
        return json.dumps(self._decoder.decode(masked, is_last))[1:-1].encode()
