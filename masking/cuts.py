"""Where a text that comes in pieces may be cut, so that a secret lies in one piece as a whole."""

from typing import Final

MAX_TAIL_BYTES: Final = 256
"""So much of a piece may belong to what has not ended yet: a line, a member, a word."""

MAX_KEY_BYTES: Final = 8192
"""A private key in PEM form that has not ended may be that long."""

_BEGIN: Final = b"-----BEGIN "
_END: Final = b"-----END "
_DASHES: Final = b"-----"
_LINE_ENDS: Final = (b"\n", b"\r")
_SEPARATORS: Final = (b",", b";", b"&", b"{", b"}", b"\0")
_BLANKS: Final = (b" ", b"\t")
_INTRODUCTIONS: Final = (b":", b"=", b"bearer", b"basic", b"token", b"apikey")
_IN_NUMBERS: Final = frozenset(b"0123456789 \t.-()+/")


def end_of_whole(piece: bytes | bytearray, limit: int = MAX_KEY_BYTES) -> int:
    """How much of a piece may be recorded now; the rest, at most `limit` bytes, belongs to the next one.

    The best place is behind a line, else behind a member of a list, else before the last word, groups of digits taken
    as one. Without any near the end the piece stays whole: what is longer than that cannot be kept together.
    """
    size = len(piece)
    begin = piece.rfind(_BEGIN, max(0, size - min(limit, MAX_KEY_BYTES)))
    if begin >= 0 and not _is_closed(piece, begin):
        return begin
    low = max(0, size - min(limit, MAX_TAIL_BYTES))
    for marks in (_LINE_ENDS, _SEPARATORS):
        end = 1 + max(piece.rfind(mark, low) for mark in marks)
        if end > 0:
            return end
    end = _last_word(piece, low, size)
    if end < 0:
        return size if low > 0 else 0
    return _before_digits(piece, _before_name(piece, end, low), low)


def _is_closed(piece: bytes | bytearray, begin: int) -> bool:
    """Whether the key that begins there has ended."""
    end = piece.find(_END, begin)
    return end >= 0 and piece.find(_DASHES, end + len(_END)) >= 0


def _last_word(piece: bytes | bytearray, low: int, end: int) -> int:
    """Where the last word before `end` begins; -1: there is no blank before it."""
    start = 1 + max(piece.rfind(blank, low, end) for blank in _BLANKS)
    return start if start > 0 else -1


def _before_name(piece: bytes | bytearray, end: int, low: int) -> int:
    """Before the name that what begins there may be the value of: `password: …`, `Bearer …`."""
    before = end
    while before > low and piece[before - 1] in b" \t":
        before -= 1
    if not piece[low:before].lower().endswith(_INTRODUCTIONS):
        return end
    start = _last_word(piece, low, before)
    if start < 0:
        return end if low > 0 else 0
    return start if piece[before - 1] in b":=" else _before_name(piece, start, low)


def _before_digits(piece: bytes | bytearray, end: int, low: int) -> int:
    """Before the groups of digits that end there: 4111 1111 … is one number."""
    start = end
    while start > low and piece[start - 1] in _IN_NUMBERS:
        start -= 1
    if not any(0x30 <= byte <= 0x39 for byte in piece[start:end]):
        return end
    if start == low:
        return end if low > 0 else 0
    return start
