from functools import cache

import pytest

from masking.cards import find_cards, format_card, has_luhn_checksum, is_card_number
from masking.engine import Masker
from masking.expressions import Expression
from tests.masking.helpers import KEY, masker
from tests.support.compiled import COMPILED

CARDS = ["4111 1111 1111 1111", "4111111111111111", "3782-822463-10005", "5555.5555.5555.4444"]


@cache
def masker_with(cards: str) -> Masker:
    return Masker(tokens=KEY, kept=COMPILED, cards=cards)


@pytest.mark.parametrize("text", CARDS)
@pytest.mark.parametrize("cards", ["digits", "last4"])
def test_a_masked_card_still_looks_like_one_and_is_none(text: str, cards: str) -> None:
    mine = masker_with(cards)
    masked = mine.mask_text(f'{{"card_number": "{text}"}}')
    shown = masked.text[17:-2]
    assert [char.isdigit() for char in shown] == [char.isdigit() for char in text]
    assert [char for char in shown if not char.isdigit()] == [char for char in text if not char.isdigit()]
    assert not is_card_number("".join(filter(str.isdigit, shown)))
    assert (shown[-4:] == text[-4:]) == (cards == "last4")
    assert shown[:-5] != text[:-5] and masked.findings[0].token == masker().mask_text(text).findings[0].token
    assert mine.mask_text(masked.text).text == masked.text
    assert mine.mask_bytes(text.encode()).data.decode() == shown


@pytest.mark.parametrize(
    "text", ["blk_-4980916519894289629", "x=-4111111111111111", "4800.935999999999", "5.4111111111111111"]
)
def test_numbers_that_are_no_cards(text: str) -> None:
    assert masker().mask_text(text).findings == ()


def test_the_form_is_one_of_three() -> None:
    with pytest.raises(ValueError, match="cards"):
        Masker(tokens=KEY, cards="all")


def test_luhn_and_ranges() -> None:
    assert has_luhn_checksum("4111111111111111") and not has_luhn_checksum("4111111111111112")
    assert is_card_number("5555555555554444") and not is_card_number("9999999999999995")
    assert len(format_card(b"4" * 19, "a" * 16, keep_last_four=False)) == 19
    text = b"4111 1111 1111 1111 and 5555555555554444"
    match = Expression(rb"(?s)(.*)").match(text)
    assert find_cards(text, match, 1) == [(0, 19, None), (24, 40, None)]
