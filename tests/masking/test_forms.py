"""The forms of a value under which a trace looks for it: those that masking makes tokens of, and no others."""

import pytest

from masking.engine import Masker
from masking.forms import MAX_VALUE_BYTES, forms_of
from masking.tokens import TokenKey
from tests.support.compiled import COMPILED

KEY = TokenKey(bytes(range(32)))
MASKER = Masker(tokens=KEY, kept=COMPILED)


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        ("4111111111111111", "pay with 4111 1111 1111 1111 now"),
        ("4111-1111-1111-1111", "pay with 4111111111111111 now"),
        ("DE89 3704 0044 0532 0130 00", "IBAN DE89370400440532013000"),
        ("de89370400440532013000", "IBAN DE89 3704 0044 0532 0130 00"),
        ("Jane.Doe@Example.com", "from jane.doe@example.com"),
        (" jane.doe@example.com\n", "from Jane.Doe@Example.COM"),
        ("'jane.doe@example.com'", "from jane.doe@example.com"),
        ("jane.doe@example.com", "VALUES ('Jane.Doe@example.com')"),
    ],
)
def test_a_value_is_found_however_it_is_written(asked: str, seen: str) -> None:
    (finding,) = MASKER.mask_text(seen).findings
    assert finding.token in {KEY.token(form) for form in forms_of(asked.encode())}


@pytest.mark.parametrize(("asked", "other"), [("hunter2", b"2"), ("pin: 1234!", b"1234"), ("a,b", b"AB")])
def test_a_part_of_a_value_is_not_the_value(asked: str, other: bytes) -> None:
    assert other not in forms_of(asked.encode())


def test_the_value_itself_comes_first_and_nothing_twice() -> None:
    forms = forms_of(b"hunter2")
    assert forms[0] == b"hunter2"
    assert len(set(forms)) == len(forms)
    assert b"k\nl" in forms_of(b"k\r\nl\r\n")


@pytest.mark.parametrize("value", [b"", b"  \n", b"x" * (MAX_VALUE_BYTES + 1)])
def test_nothing_and_too_much_are_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="bytes"):
        forms_of(value)
