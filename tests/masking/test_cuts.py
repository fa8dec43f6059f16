"""Where pieces of a text end: never within a value that fits into what may be held back."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masking.cuts import MAX_KEY_BYTES, MAX_TAIL_BYTES, end_of_whole
from tests.masking.helpers import masker

KEY_LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ"
KEY = "\n".join(("-----BEGIN PRIVATE KEY-----", *[KEY_LINE] * 9, "-----END PRIVATE KEY-----"))
SECRETS = {
    "token": "ghp" + "_16C7e42F292c6912E7710c838347Ae178B4a",
    "card": "4111111111111111",
    "grouped card": "4111 1111 1111 1111",
    "email": "bob.smith@example.com",
    "password": "password: hunter2hunter2",
    "bearer": "Authorization: Bearer 9f8s7df98sd7f9f8s7df98sd7f",
    "member": '{"id": 5, "password": "hunter2hunter2"}',
    "key": KEY,
}


@pytest.mark.parametrize(
    ("piece", "end"),
    [
        (b"", 0),
        (b"a line\nhalf a li", 7),
        (b"a line\n", 7),
        (b"a,b,half", 4),
        (b"some words and hal", 15),
        (b"paid with 4111 1111 11", 9),
        (b"her password: hunt", 4),
        (b"say Authorization: Bearer abc", 4),
        (b"word", 0),
        (b"x" * (MAX_TAIL_BYTES + 1), MAX_TAIL_BYTES + 1),
        (b"4" * (MAX_TAIL_BYTES + 1), MAX_TAIL_BYTES + 1),
        (b"see -----BEGIN PRIVATE KEY-----\nMIIE\nabc\n", 4),
        (b"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nabc", 59),
    ],
)
def test_a_piece_ends_behind_what_is_whole(piece: bytes, end: int) -> None:
    assert end_of_whole(piece) == end
    assert end_of_whole(bytearray(piece)) == end


@given(st.binary(max_size=2000), st.integers(0, MAX_KEY_BYTES))
def test_no_more_is_held_than_allowed(piece: bytes, limit: int) -> None:
    assert len(piece) - limit <= end_of_whole(piece, limit) <= len(piece)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_cut_anywhere_is_masked_in_pieces_that_are_looked_at_alone(name: str) -> None:
    secret, filler = SECRETS[name], random.Random(7)
    before = " ".join(filler.choices(["plain", "words", "of", "a", "report"], k=90)) + " "
    whole = masker().mask_text(f"{before}{secret} and more\n").text
    for cut in range(len(before), len(before) + len(secret) + 1, 1 if len(secret) < 100 else 7):
        text = f"{before}{secret} and more\n".encode()
        end = end_of_whole(text[:cut])
        shown = b"".join(masker().mask_bytes(piece).data for piece in (text[:end], text[end:])).decode()
        assert shown == whole, cut
