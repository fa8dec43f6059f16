import json

import pytest

from masking.inline.charset import CharsetRewriter, charset_of
from masking.inline.json_stream import JsonRewriter
from masking.inline.model import Unreadable
from masking.inline.text import TextRewriter
from tests.masking.inline.helpers import EMAIL, order, run


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("text/plain", ""),
        ("text/plain; charset=UTF-8", ""),
        ('text/plain; charset="us-ascii"', ""),
        ("text/html; Charset=ISO-8859-1", "iso8859-1"),
        ("application/json;charset=utf-16", "utf-16"),
        ("text/plain; charset=Shift_JIS", "shift_jis"),
    ],
)
def test_charsets_by_their_names(content_type, charset):
    assert charset_of(content_type) == charset


@pytest.mark.parametrize("name", ["rot13", "nonsense", "zlib", "idna", "utf-7", "unicode_escape"])
def test_what_is_no_charset_of_texts_is_an_error(name):
    with pytest.raises(Unreadable, match="charset"):
        charset_of(f"text/plain; charset={name}")


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("charset", ["utf-16", "utf-16-be", "iso8859-1", "cp1252", "utf-32"])
def test_text_stays_in_its_charset(charset, size):
    values = order()
    rewriter = CharsetRewriter(TextRewriter(values, values.new_report()), charset)
    shown = run(rewriter, f"café {EMAIL} señor\n".encode(charset), size).decode(charset)
    assert shown.startswith("café ") and shown.endswith(" señor\n") and EMAIL not in shown
    assert ("<email:" if charset == "iso8859-1" else "‹email:") in shown


@pytest.mark.parametrize("charset", ["iso8859-1", "utf-16-le", "shift_jis"])
def test_json_stays_json_in_its_charset(charset):
    values = order()
    rewriter = CharsetRewriter(JsonRewriter(values, values.new_report(), ascii_only=True), charset)
    shown = json.loads(run(rewriter, json.dumps({"a": f"to {EMAIL}"}).encode(charset), 3).decode(charset))
    assert shown["a"].startswith("to ‹email:")


def test_bytes_of_another_charset_are_an_error():
    values = order()
    with pytest.raises(Unreadable, match="charset"):
        run(CharsetRewriter(TextRewriter(values, values.new_report()), "shift_jis"), b"\x81\xff\xff", 1)
