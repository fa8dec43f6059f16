"""Values that are nothing but one of the commonest secrets, told without an engine: calling one takes longer than this.

Each predicate says that its expression, searched for in a text, matches all of it with its first group. False: it may
match or not. Compiled where a C compiler is at hand (deploy/native.py).
"""

from collections.abc import Callable
from typing import Final

from mypy_extensions import i64

from masking.byte_kinds import table_of

Plain = Callable[[bytes], bool]

_AT: Final = 0x40
_DOT: Final = 0x2E
_LEAST_CARD: Final = 13
_LEAST_END: Final = 2  # letters of a top-level domain
_MOST_END: Final = 24
_IN_LOCAL: Final = 1
_IN_DOMAIN: Final = 2
_IS_FIRST: Final = 4
_IS_LETTER: Final = 8
_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = b"0123456789"
_KINDS: Final = table_of(
    (_IN_LOCAL, _LETTERS + _DIGITS + b"._%+'-"),
    (_IN_DOMAIN, _LETTERS + _DIGITS + b"-"),
    (_IS_FIRST, _LETTERS + _DIGITS + b"_%+-"),
    (_IS_LETTER, _LETTERS),
)


def is_number(text: bytes) -> bool:
    """Digits as long as a card's."""
    return len(text) >= _LEAST_CARD and text.isdigit()


def is_address(text: bytes) -> bool:
    """An e-mail address in ASCII."""
    at: i64 = 0
    size: i64 = len(text)
    kinds = _KINDS
    if size == 0 or not kinds[text[0]] & _IS_FIRST:
        return False
    while at < size and kinds[text[at]] & _IN_LOCAL:
        at += 1
    return at < size and text[at] == _AT and _is_domain(text, at + 1)


def _is_domain(text: bytes, start: i64) -> bool:
    """Whether a domain with a dot in it, whose last label is of letters, is all from `start` on."""
    size: i64 = len(text)
    label: i64 = start  # where the label at hand begins
    position: i64 = start
    kinds = _KINDS
    is_word = True
    while position < size:
        byte = text[position]
        if byte == _DOT:
            if position == label:
                return False
            label = position + 1
            is_word = True
        elif not kinds[byte] & _IN_DOMAIN:
            return False
        elif not kinds[byte] & _IS_LETTER:
            is_word = False
        position += 1
    return label > start and is_word and _LEAST_END <= size - label <= _MOST_END


PLAIN: Final[dict[bytes, Plain]] = {
    rb"\b(\d(?:[ .+-]?\d){12,})\b": is_number,
    rb"((?:[A-Za-z0-9_%+-]|[\xc3-\xdf][\x80-\xbf])(?:[A-Za-z0-9._%+'-]|[\xc3-\xdf][\x80-\xbf])*"
    rb"@(?:(?:[A-Za-z0-9-]|[\xc3-\xdf][\x80-\xbf])+\.)+[A-Za-z]{2,24})": is_address,
}
"""By the expression of a detector."""
