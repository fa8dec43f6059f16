import random

import pytest
import re2
from stdnum import luhn

from masking import cards, validators


def match(text):
    return re2.compile(b"(?s)(.*)").match(text)


@pytest.mark.parametrize(
    "digits",
    ["4111111111111111", "378282246310005", "5555555555554444", "2223003122003222", "6011111111111117",
     "3530111333300000", "30569309025904", "6304000000000000", "6240008631401148"],
)  # fmt: skip
def test_card_numbers(digits):
    assert cards.is_card_number(digits)


@pytest.mark.parametrize("digits", ["4111111111111112", "0000000000000000", "1732370400000000", "41111111", "9" * 16])
def test_other_numbers(digits):
    assert not cards.is_card_number(digits)


def test_luhn_agrees_with_stdnum():
    source = random.Random(1)
    for _ in range(300):
        digits = "".join(source.choices("0123456789", k=source.randint(12, 20)))
        assert cards.has_luhn_checksum(digits) == luhn.is_valid(digits)


def test_cards_are_whole_groups():
    find = validators.find_cards
    assert find(b"4111111111111111", match(b"4111111111111111"), 1) == [(0, 16, None)]
    assert find(b"4111 1111 1111 1111 5555555555554444", match(b"4111 1111 1111 1111 5555555555554444"), 1) == [
        (0, 19, None),
        (20, 36, None),
    ]
    for text in (b"94111111111111111", b"411111111111111 1", b"4111-1111 1111-1111", b"1.4111111111111111"):
        assert find(text, match(text), 1) == []


def test_entropy():
    assert validators.shannon_entropy(b"") == 0
    assert validators.shannon_entropy(b"aaaa") == 0
    assert validators.shannon_entropy(bytes(range(256))) == 8


@pytest.mark.parametrize(
    ("validator", "text", "is_hit"),
    [
        (validators.check_ssn, b"536-22-1234", True),
        (validators.check_ssn, b"666-22-1234", False),
        (validators.check_iban, b"GB82WEST12345698765432", True),
        (validators.check_iban, b"GB82 WEST 1234 5698 7654 32 and", True),
        (validators.check_iban, b"GB82WEST12345698765431", False),
        (validators.check_jwt, b"eyJhbGciOiJub25lIn0.e30.", True),
        (validators.check_jwt, b"eyJhIjoxfQ.e30.", False),
        (validators.check_jwt, b"eyJ\xff.e30.", False),
        (validators.check_random, b"f7Gh2kLq9ZxW", True),
        (validators.check_random, b"aaaaaaaaaaaa", False),
        (validators.check_mixed, b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzKEY", True),
        (validators.check_mixed, b"da39a3ee5e6b4b0d3255bfef95601890afd80709", False),
        (validators.check_secret_value, b"hunter2", True),
        (validators.check_secret_value, b"$1", False),
        (validators.check_email, b"a@b.cd", True),
        (validators.check_email, b"git@b.cd", False),
    ],
)
def test_validator(validator, text, is_hit):
    assert bool(validator(text, match(text), 1)) == is_hit


def test_cookies():
    data = b'a=1; b="two2"; theme=dark; lang=en-GB; sid=abc; HttpOnly; c='
    found = [data[s:e] for s, e in validators.cookie_values(data, 0, len(data), is_set=False)]
    assert found == [b"1", b"two2", b"abc"]
    assert [data[s:e] for s, e in validators.cookie_values(data, 0, len(data), is_set=True)] == [b"1"]


@pytest.mark.parametrize(
    ("text", "is_mail"),
    [
        ("git@example.com", False),
        ("x git@example.com", False),
        ("ssh root@example.com", False),
        ("ssh -p 22\troot@example.com", False),
        ("assh root@example.com", True),
        ("sqlplus scott/tiger@example.com", False),
        ("sqlplus-scott/tiger@example.com", True),
        ("db@host.internal", False),
        ("db@host.INTERNAL", True),
        ("db@internal.example", True),
    ],
)
def test_logins_at_machines_are_no_mail(text, is_mail):
    match = re2.search(rb"([\w.]+@[\w.]+)", text.encode())
    assert bool(validators.check_email(text.encode(), match, 1)) is is_mail
