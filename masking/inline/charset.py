"""Text in another charset than UTF-8: masked as UTF-8 and written in its own again."""

import codecs
import re
from functools import lru_cache
from typing import Final

from masking.inline.model import Rewriter, Unreadable

_CHARSET: Final = re.compile(r"""(?i);\s*charset\s*=\s*["']?([\w.:+-]+)""")
_KNOWN: Final = re.compile(
    r"iso8859-\d+|cp125\d|cp437|cp85[0258]|koi8-[ru]|mac-\w+|utf-16(-[lb]e)?|utf-32(-[lb]e)?|shift_jis|cp932|euc_(jp|kr)"
    r"|iso2022_jp|cp949|gb2312|gbk|gb18030|big5(hkscs)?"
)
_ASCII: Final = frozenset({"utf-8", "ascii"})


@lru_cache(maxsize=256)
def charset_of(content_type: str) -> str:
    """Python's name of a Content-Type's charset; "" for UTF-8, ASCII and none. Raises Unreadable for unknown ones."""
    found = _CHARSET.search(content_type)
    if found is None:
        return ""
    try:
        name = codecs.lookup(found[1]).name
    except LookupError:
        name = "?"
    if name in _ASCII:
        return ""
    if not _KNOWN.fullmatch(name):
        raise Unreadable("the charset of the content is not known")
    return name


class CharsetRewriter:
    """Wraps a Rewriter of UTF-8 text."""

    def __init__(self, inner: Rewriter, charset: str) -> None:
        self._inner = inner
        self._charset = charset
        self._decoder = codecs.getincrementaldecoder(charset)("strict")
        self._encoder = codecs.getincrementalencoder(charset)("strict")
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def is_holding(self) -> bool:
        """As the inner one."""
        return self._inner.is_holding

    def feed(self, data: bytes) -> bytes:
        """Raises Unreadable when the bytes are not of that charset."""
        return self._encode(self._inner.feed(self._decode(data)))

    def flush(self) -> bytes:
        """What the inner one gives."""
        return self._encode(self._inner.flush())

    def finish(self) -> bytes:
        """The rest."""
        rest = self._inner.feed(self._decode(b"", is_last=True)) + self._inner.finish()
        return self._encode(rest, is_last=True)

    def _decode(self, data: bytes, *, is_last: bool = False) -> bytes:
        try:
            return self._decoder.decode(data, is_last).encode()
        except UnicodeError:
            raise Unreadable("the content is not of the charset that it names") from None

    def _encode(self, masked: bytes, *, is_last: bool = False) -> bytes:
        text = self._utf8.decode(masked, is_last)
        try:
            return self._encoder.encode(text, is_last)
        except UnicodeEncodeError:  # only the marks around tokens can be new
            plain = text.replace("‹", "<").replace("›", ">")
            return self._encoder.encode(plain, is_last)
