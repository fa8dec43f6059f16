import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from masking.inline.json_text import LongString, decode_string, encode_string, escape, unescape
from tests.masking.helpers import masker
from tests.masking.inline.helpers import EMAIL, order

NO_SURROGATES = st.text(st.characters(exclude_categories=("Cs",)))


@given(NO_SURROGATES, st.booleans())
def test_a_string_is_read_as_it_was_written(text, is_ascii):
    token = json.dumps(text, ensure_ascii=is_ascii).encode()
    assert decode_string(token) == text
    assert unescape(token[1:-1]) == text.encode()
    assert json.loads(encode_string(text.encode(), ascii_only=is_ascii)) == text
    assert json.loads(b'"' + escape(text.encode()) + b'"') == text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (rb"\ud83d\ude00", "😀"),
        (rb"\\ud83d\ude00", "\\ud83d\ufffd"),
        (rb"\ud83d and \u0041", "\ufffd and A"),
        (rb"\uZZ \x \"", '\\uZZ \\x "'),
    ],
)
def test_odd_escapes(content, text):
    assert unescape(content).decode() == text


@settings(deadline=None, max_examples=60)
@given(NO_SURROGATES, st.booleans(), st.integers(1, 9))
@example("0@0.AA", False, 1)
def test_a_long_string_in_any_pieces_says_the_same(text, is_ascii, size):
    values = order()
    whole = text + f" {EMAIL} " + text
    token = json.dumps(whole, ensure_ascii=is_ascii).encode() + b", 1"
    string = LongString(values, values.new_report(), "$", ascii_only=is_ascii)
    shown, position = b"", 1
    while string.rest is None:
        shown += string.feed(token[position : position + size])
        position += size
    said = json.loads(b'"' + shown)
    assert said == masker().mask_text(whole).text and "bob.smith" not in said
    assert (string.rest + token[position:]) == b", 1"


def test_a_hidden_string_shows_nothing_but_its_end():
    values = order()
    string = LongString(values, values.new_report(), "$", is_hidden=True)
    assert string.feed(b"secret \\") == b"" and string.feed(b'" more') == b""
    assert string.feed(b'" , 1') == b'"' and string.rest == b" , 1"


def test_a_string_that_is_cut_off_is_masked():
    values = order()
    string = LongString(values, values.new_report(), "$")
    assert b"bob" not in string.feed(b"mail " + EMAIL.encode() + b"\\u00") + string.cut_off()
