"""Payment cards: issued ranges, Luhn, how people group the digits; and masked cards that still look like cards."""

from itertools import pairwise
from typing import Any, Final

from mypy_extensions import i64

from masking.model import Hit

CARD_LABEL: Final = "payment_card"
CARD_FORMATS: Final = ("token", "digits", "last4")
_SEPARATORS: Final = b" -.+"
# ISO/IEC 7812 ranges in use: (first digits from, to, lengths). Prefixes are compared at their own length.
_BRANDS: Final[tuple[tuple[str, str, frozenset[int]], ...]] = (
    ("34", "34", frozenset({15})),  # American Express
    ("37", "37", frozenset({15})),
    ("300", "305", frozenset({14})),  # Diners Club
    ("3095", "3095", frozenset({14})),
    ("36", "36", frozenset({14})),
    ("38", "39", frozenset({14})),
    ("3528", "3589", frozenset({16})),  # JCB
    ("4", "4", frozenset({13, 16, 19})),  # Visa
    ("51", "55", frozenset({16})),  # Mastercard
    ("2221", "2720", frozenset({16})),
    ("6011", "6011", frozenset({16, 19})),  # Discover
    ("644", "649", frozenset({16, 19})),
    ("65", "65", frozenset({16, 19})),
    ("60", "60", frozenset({16})),  # RuPay
    ("81", "82", frozenset({16})),
    ("508", "508", frozenset({16})),
    ("62", "62", frozenset({16, 17, 18, 19})),  # UnionPay
    ("2200", "2204", frozenset({16, 17, 18, 19})),  # Mir
    ("5018", "5018", frozenset({16, 18, 19})),  # Maestro
    ("5020", "5020", frozenset({16, 18, 19})),
    ("5038", "5038", frozenset({16, 18, 19})),
    ("5893", "5893", frozenset({16, 18, 19})),
    ("6304", "6304", frozenset({16, 18, 19})),
    ("6759", "6763", frozenset({16, 18, 19})),
)
# How people group the digits of a card; an ungrouped number is one group.
_GROUPINGS: Final = frozenset(
    {(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (6, 13), (4, 4, 5), (4, 12), (8, 8), (6, 6, 4)}
)


_DIGITS: Final = b"0123456789"
_PLAIN: Final = bytes.maketrans(_DIGITS, bytes(range(10)))
_DOUBLED: Final = bytes.maketrans(_DIGITS, bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
_BY_FIRST: Final = {
    first: tuple(brand for brand in _BRANDS if brand[0][0] <= first <= brand[1][0]) for first in _DIGITS.decode()
}


def has_luhn_checksum(digits: str) -> bool:
    """`digits` are ASCII."""
    raw = digits.encode("ascii")
    index: i64 = len(raw)
    total: i64 = 0
    table, other = _PLAIN, _DOUBLED
    while index > 0:
        index -= 1
        total += table[raw[index]]
        table, other = other, table
    return total % 10 == 0


def is_card_number(digits: str) -> bool:
    """Length and first digits of an issued range, Luhn, and more than one digit. `digits` are ASCII."""
    length = len(digits)
    for low, high, lengths in _BY_FIRST[digits[0]]:
        if length in lengths and low <= digits[: len(low)] <= high:
            return digits.count(digits[0]) < length and has_luhn_checksum(digits)
    return False


def find_cards(data: bytes, match: Any, group: int) -> list[Hit]:
    """Every card in a run of digit groups: whole groups only, so no window slides over a longer number."""
    base, end = match.span(group)
    groups = _digit_groups(data, base, end)
    hits: list[Hit] = []
    index = 0
    while index < len(groups):
        taken = _card_at(data, groups, index)
        if taken:
            hits.append((groups[index][0], groups[index + taken - 1][1], None))
        index += taken or 1
    return hits


def _digit_groups(data: bytes, start: int, end: int) -> list[tuple[int, int]]:
    if data[start:end].isdigit():
        return [(start, end)]
    groups: list[tuple[int, int]] = []
    for piece in data[start:end].translate(_TO_SPACE).split(b" "):
        if piece:
            groups.append((start, start + len(piece)))
        start += len(piece) + 1
    return groups


_TO_SPACE: Final = bytes.maketrans(_SEPARATORS, b" " * len(_SEPARATORS))


def _card_at(data: bytes, groups: list[tuple[int, int]], index: int) -> int:
    """How many groups from `index` make a card; 0 = none."""
    for count in range(min(5, len(groups) - index), 0, -1):
        taken = groups[index : index + count]
        if count > 1 and not _is_grouped(data, taken):
            continue
        digits = b"".join([data[start:end] for start, end in taken]).decode()
        if 13 <= len(digits) <= 19 and is_card_number(digits):
            if not _is_part_of_decimal(data, taken[0][0], taken[-1][1]):
                return count
    return 0


def _is_grouped(data: bytes, groups: list[tuple[int, int]]) -> bool:
    """Whether these are the groups of one number, and not one with decimals."""
    sizes = tuple([end - start for start, end in groups])
    if sizes not in _GROUPINGS or not _is_evenly_separated(data, groups):
        return False
    return len(groups) > 2 or data[groups[0][1] : groups[1][0]] != b"."


def _is_part_of_decimal(data: bytes, start: int, end: int) -> bool:
    """Digits behind or before a decimal point, or behind a minus sign (`blk_-4980…`, `x=-4111…`)."""
    before, after = data[max(0, start - 2) : start], data[end : end + 2]
    is_negative = before[-1:] == b"-" and not before[:-1].isalnum()
    return is_negative or (before[1:] == b"." and before[:1].isdigit()) or (after[:1] == b"." and after[1:].isdigit())


def _is_evenly_separated(data: bytes, groups: list[tuple[int, int]]) -> bool:
    between = {data[left[1] : right[0]] for left, right in pairwise(groups)}
    return len(between) == 1


def format_card(card: bytes, token: str, *, keep_last_four: bool) -> bytes:
    """A number as long and grouped as `card`, made of its token (a-z2-7): no issuer's, since it begins with 0.

    The same card under the same key gives the same number. With `keep_last_four` it ends like the card.
    """
    fill = f"0{int.from_bytes(token.encode()):d}"
    count = sum(48 <= byte <= 57 for byte in card)
    kept = count - 4 if keep_last_four else count
    out, seen = bytearray(card), 0
    for index, byte in enumerate(card):
        if 48 <= byte <= 57:
            if seen < kept:
                out[index] = ord(fill[seen])
            seen += 1
    return bytes(out)
