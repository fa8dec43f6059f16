"""Looks through encodings: where a secret may hide in a text, and where its spans lie in the outer text.

A *view* is the whole text with its escapes resolved; spans found in it map back. A *wrapped* run (base64, hex) has
no such map: it is replaced as a whole, either by the tokens of what it held or by its masked content encoded anew.
"""

import binascii
import re
import zlib
from base64 import b64encode
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from masking.expressions import Expression
from masking.prefilter import Gate

MAX_DEPTH: Final = 3
MAX_UNZIPPED_BYTES: Final = 1 << 20
_MAX_PARTS: Final = 64


@dataclass(slots=True, frozen=True)
class View:
    """`data` with escapes resolved. An offset in it beyond `starts[i]` lies `gains[i]` bytes further in the outer
    text (the last such i counts)."""

    data: bytes
    starts: list[int]
    gains: list[int]

    def outer(self, start: int, end: int) -> tuple[int, int]:
        return start + self._gain(start), end + self._gain(end)

    def _gain(self, offset: int) -> int:
        index = bisect_left(self.starts, offset)
        return self.gains[index - 1] if index else 0


@dataclass(slots=True, frozen=True)
class ViewLayer:
    name: str
    gate: Gate
    escape: re.Pattern[bytes]
    resolve: Callable[[bytes], bytes]

    def view(self, data: bytes) -> View | None:
        """None when nothing is escaped."""
        pieces: list[bytes] = []
        starts: list[int] = []
        gains: list[int] = []
        position = gain = 0
        for match in self.escape.finditer(data):
            start, end = match.span()
            resolved = self.resolve(match[0])
            pieces += (data[position:start], resolved)
            # An offset is beyond this escape when it is greater than where the escape's result begins.
            starts.append(start - gain - (0 if resolved else 1))
            gain += end - start - len(resolved)
            gains.append(gain)
            position = end
        if not starts:
            return None
        pieces.append(data[position:])
        return View(b"".join(pieces), starts, gains)


def _resolve_escape(text: bytes) -> bytes:
    if text[1:2] == b"/":
        return b"/"
    if len(text) == 12:  # a pair of surrogates
        return bytes.fromhex((text[2:6] + text[8:]).decode()).decode("utf-16-be").encode()
    point = int(text[2:], 16)
    return chr(point).encode("utf-8", "replace")


def _resolve_join(_text: bytes) -> bytes:
    return b""


def _resolve_unicode(text: bytes) -> bytes:
    """Full-width ASCII becomes ASCII, invisible characters go."""
    point = ord(text.decode("utf-8"))
    return bytes((point - 0xFEE0,)) if 0xFF01 <= point <= 0xFF5E else b""


# One literal or line that is written as several: continued by a backslash, adjacent or added
# string literals, HTTP chunks. And one that was merely broken where the line was full.
_CONTINUED: Final = (
    rb"\\\r?\n[ \t]*|([\"'])[ \t]*[+.&]?[ \t]*\\?\r?\n[ \t]*[+.&]?[ \t]*[bfru]?\1"
    rb"|([\"']) ?\+ ?\2|\r\n[0-9A-Fa-f]{1,6}\r\n"
)
_BROKEN: Final = rb"(?<=[A-Za-z0-9+/=_.-]{16})(?:\r?\n|\\n)(?:[ \t]{1,16}|[>|#] )?(?=[A-Za-z0-9+/=_.-]{4})"
JOINS: Final = ("continued", "broken")  # the names of those layers

_INVISIBLE: Final = rb"\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa0-\xa4]|\xef\xbb\xbf|\xc2\xad"
_FULL_WIDTH: Final = rb"\xef\xbc[\x81-\xbf]|\xef\xbd[\x80-\x9e]"

# The last letter beyond ASCII of a name in JSON. Most writers escape them; texts full of them need no view.
_ESCAPED_NAME: Final = (
    rb"\\u(?:00[A-Fa-f]|0[1-9A-Fa-f][0-9A-Fa-f]|[1-9A-Fa-f][0-9A-Fa-f]{2})[0-9A-Fa-f][\w .-]{0,24}\\{0,7}\"[ \t]{0,4}:"
)

VIEWS: Final = (
    ViewLayer("url", Gate((), (rb"%[2-7][0-9A-Fa-f]",)), re.compile(rb"%[0-9A-Fa-f]{2}"), unquote_to_bytes),
    ViewLayer(
        "escape",
        Gate((), (rb"\\u00[2-7][0-9A-Fa-f]|\\x[2-7][0-9A-Fa-f]|\\/", _ESCAPED_NAME)),
        re.compile(
            rb"\\u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}"
            rb"|\\x[0-7][0-9A-Fa-f]|\\/"
        ),
        _resolve_escape,
    ),
    ViewLayer(
        "utf-16", Gate((), (rb"(?:[\x20-\x7e]\x00){6}",)), re.compile(rb"[\t\n\r\x20-\x7e]\x00"), lambda text: text[:1]
    ),
    ViewLayer(
        "unicode",
        Gate((), (_INVISIBLE + b"|" + _FULL_WIDTH,)),
        re.compile(_INVISIBLE + b"|" + _FULL_WIDTH),
        _resolve_unicode,
    ),
    ViewLayer(
        "quoted-printable",
        Gate((b"quoted-printable",), ()),
        re.compile(rb"=\r?\n|=[0-9A-F]{2}"),
        lambda text: b"" if text[1:2] in b"\r\n" else bytes((int(text[1:], 16),)),
    ),
    ViewLayer(
        "continued",
        Gate(
            (),
            (
                rb"\\\r?\n|\r\n[0-9A-Fa-f]{1,6}\r\n",
                rb"[\"'][ \t]{0,8}[+.&]?[ \t]{0,8}\\?\r?\n[ \t]{0,40}[+.&]?[ \t]{0,4}[bfru]?[\"']|[\"'] ?\+ ?[\"']",
            ),
        ),
        re.compile(_CONTINUED),
        _resolve_join,
    ),
    ViewLayer(
        "broken",
        Gate((), (rb"[A-Za-z0-9+/=_.-]{16}\r?\n(?:[ \t]{1,16}|[>|#] )?[A-Za-z0-9+/=_.-]{4}",)),
        re.compile(_BROKEN),
        _resolve_join,
    ),
    ViewLayer(  # a text inside an SQL literal or a field of CSV
        "quoted",
        Gate((), (rb"[{[(: ,=-]\"\"[\w{$/]|[\w})]\"\"[:,})]|[[(: ,=-]''[\w{$/]|[\w})]''[\]:,;) ]",)),
        re.compile(rb"\"\"|''"),
        lambda text: text[:1],
    ),
)

# Three groups of base64 that decode to bytes below 0x80, as any secret of ten characters gives at some alignment;
# random base64 and hex digests seldom do. Hex of text likewise: every other digit is 2 to 7. H4sI starts gzip.
WRAPPED_GATE: Final = Gate(
    (),
    (
        rb"(?:[A-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]){3}"
        rb"|(?:[2-7][0-9A-Fa-f]){10}|(?:[2-7][0-9A-Fa-f]00){5}|H4sI[A-Za-z0-9+/_-]{10}",
    ),
)
_RUN: Final = Expression(
    rb"(?:[A-Za-z0-9+/_-]{48,} ?\r?\n[ \t]{0,16})+[A-Za-z0-9+/_-]*={1,2}"
    rb"|(?:[A-Za-z0-9+/_-]{48,} ?\r?\n[ \t]{0,16})*[A-Za-z0-9+/_-]{14,}={0,2}"
)
_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_HEX: Final = re.compile(rb"(?:0?[xX])?((?:[0-9a-fA-F]{2}){10,})")
_CONTROLS: Final = bytes(set(range(32)) - {9, 10, 13}) + b"\x7f"


@dataclass(slots=True, frozen=True)
class Wrapped:
    """A run of the outer text and what it decodes to."""

    start: int
    end: int
    name: str
    data: bytes


def find_wrapped(data: bytes, known: Sequence[tuple[int, int]] = ()) -> Iterator[Wrapped]:
    """Runs that decode to text (or to gzip of text), but for those inside the `known` stretches."""
    for match in _RUN.finditer(data):
        start, end = match.span()
        if any(low <= start and end <= high for low, high in known):
            continue
        yield from _unwrap(data, start, end, is_part=False)


def _unwrap(data: bytes, start: int, end: int, *, is_part: bool) -> Iterator[Wrapped]:
    run = data[start:end]
    hexadecimal = _HEX.fullmatch(run)
    if hexadecimal:
        content = bytes.fromhex(hexadecimal[1].decode())
        if is_text(content):
            yield Wrapped(start + hexadecimal.start(1), end, "hex", content)
            return
    decoded = _decode_base64(run)
    if decoded is not None:
        yield Wrapped(start, end, decoded[0], decoded[1])
    elif not is_part:
        for low, high in _parts(run):
            yield from _unwrap(data, start + low, start + high, is_part=True)


def _parts(run: bytes) -> list[tuple[int, int]]:
    """Pieces between the characters that only some base64 alphabets hold: paths and joined words."""
    parts = [(m.start(), m.end()) for m in re.finditer(rb"[A-Za-z0-9+]{14,}={0,2}", run)]
    return [part for part in parts[:_MAX_PARTS] if part != (0, len(run))]


def _decode_base64(run: bytes) -> tuple[str, bytes] | None:
    body = run.translate(_TO_STANDARD, b"\r\n= \t")
    if len(body) % 4 == 1:
        body = body[:-1]
    try:
        content = binascii.a2b_base64(body + b"=" * (-len(body) % 4))
    except binascii.Error:
        return None
    if content[:2] == b"\x1f\x8b":
        return _unzip(content)
    return ("base64", content) if is_text(content) else None


def _unzip(content: bytes) -> tuple[str, bytes] | None:
    try:
        text = zlib.decompressobj(wbits=31).decompress(content, MAX_UNZIPPED_BYTES)
    except zlib.error:
        return None
    return ("gzip", text) if is_text(text) else None


def is_text(content: bytes) -> bool:
    """UTF-8 (the last character may be cut), nearly free of control characters; or UTF-16 of mostly Latin text."""
    if not content:
        return False
    nulls = content.count(0)
    if nulls:
        return len(content) * 2 // 5 <= nulls <= len(content) * 3 // 5
    if len(content) - len(content.translate(None, _CONTROLS)) > len(content) // 32:
        return False
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(content) - 3 and error.start > 0 and error.reason == "unexpected end of data"
    return True


def wrap(wrapped: Wrapped, masked: bytes) -> bytes:
    """`masked` in the encoding it came from."""
    return masked.hex().encode() if wrapped.name == "hex" else b64encode(masked)


def is_worth_wrapping(wrapped: Wrapped, covered: int) -> bool:
    """Whether enough is left beside the secrets that the rest should be kept, encoded again."""
    return wrapped.name != "gzip" and b"\0" not in wrapped.data and len(wrapped.data) - covered >= 24
