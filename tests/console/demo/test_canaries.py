import re

import pytest

from console.demo.canaries import luhn_sum, make_canaries, make_card, make_ssn


@pytest.mark.parametrize(
    ("number", "is_valid"), [("4111111111111111", True), ("4111111111111112", False), ("79927398713", True)]
)
def test_luhn(number: str, is_valid: bool) -> None:
    assert (luhn_sum(number) % 10 == 0) is is_valid


def test_every_card_and_number_is_well_formed() -> None:
    for _ in range(200):
        card = make_card("51")
        assert len(card) == 16 and card.startswith("51") and luhn_sum(card) % 10 == 0
        area, group, serial = make_ssn().split("-")
        assert 1 <= int(area) <= 665 and 1 <= int(group) <= 99 and 1 <= int(serial) <= 9999


def test_two_runs_share_nothing() -> None:
    first, second = make_canaries(), make_canaries()
    assert not set(first.values().values()) & set(second.values().values())
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", first.aws_key)
    assert re.fullmatch(r"ghp_[A-Za-z0-9]{36}", first.github_token)
    assert first.card not in repr(first)
