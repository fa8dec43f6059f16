import re

import pytest

from masking import personal


def hit(check, text: str) -> bool:
    match = re.fullmatch(rb"(.*)", text.encode())
    return bool(check(text.encode(), match, 1))


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (personal.stdnum("br.cpf"), "111.444.777-35", "111.444.777-36"),
        (personal.stdnum("pl.pesel"), "44051401359", "44051401358"),
        (personal.check_npi, "1234567893", "1234567890"),
        (personal.check_luhn, "49-015420-323751-8", "49-015420-323751-9"),
        (personal.check_aba, "021000021", "021000022"),
        (personal.check_dea, "AB1234563", "AB1234560"),
        (personal.check_nric, "S1234567D", "S1234567A"),
        (personal.check_snils, "112-233-445 95", "112-233-445 96"),
        (personal.check_dated, "850312-1234567", "999999-1234567"),
        (personal.check_ip, "93.184.216.34", "127.0.0.1"),
        (personal.check_ip, "2001:470:1f0b:1::2", "::1"),
        (personal.check_phone, "+442079460958", "+10000000000"),
        (personal.check_telephone, "020 7946 0958", "2024-01-15"),
    ],
)
def test_check_digits_and_ranges(check, good: str, bad: str) -> None:
    assert hit(check, good)
    assert not hit(check, bad)


def test_what_stands_before_may_speak_against_it() -> None:
    for text, group in ((b"version 1.2.3.4", b"1.2.3.4"), (b"10.0.0.0/8", b"10.0.0.0")):
        match = re.search(b"(" + re.escape(group) + b")", text)
        assert personal.check_ip(text, match, 1) == []
    text = b"order 415-555-2671"
    assert personal.check_phone(text, re.search(rb"(415.*)", text), 1) == []


def test_an_unknown_number_is_refused() -> None:
    with pytest.raises(ImportError):
        personal.stdnum("xx.nothing")
