import base64
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masking.expressions import Expression
from masking.layers import VIEWS, find_wrapped, is_text, is_worth_wrapping, wrap
from tests.masking.helpers import masker

BY_NAME = {layer.name: layer for layer in VIEWS}


@pytest.mark.parametrize(
    ("name", "outer", "inner", "part"),
    [
        ("url", b"a%40b%2Ec d", b"a@b.c d", b"b.c"),
        ("url", b"%61%62", b"ab", b"ab"),
        ("escape", b"\\u0041\\x42\\/c", b"AB/c", b"B/c"),
        ("escape", b"\\u043f\\u0430: \\ud83d\\ude00x", "па: 😀x".encode(), "😀x".encode()),
        ("escape", b"contrase\\u00f1a: x", "contraseña: x".encode(), "ña".encode()),
        ("escape", b"\\ud83d alone", b"? alone", b"alone"),
        ("utf-16", b"a\x00b\x00c\x00", b"abc", b"bc"),
        ("unicode", "４\u200b1a".encode(), b"41a", b"41"),
    ],
)
def test_a_view_resolves_and_maps_back(name, outer, inner, part):
    view = BY_NAME[name].view(outer)
    assert view.data == inner
    start = inner.index(part)
    low, high = view.outer(start, start + len(part))
    again = BY_NAME[name].view(outer[low:high])
    assert (again.data if again else outer[low:high]) == part


@pytest.mark.parametrize("name", ["пароль", "contraseña", "mot_de_passe_secrété", "パスワード"])
@pytest.mark.parametrize("form", ["{}", "INSERT INTO t(doc) VALUES ('{}')", 'SELECT 1; -- {{"a": {}}}'])
def test_a_name_in_json_tells_its_value_also_where_its_letters_are_escaped(name: str, form: str) -> None:
    plain = masker().mask_text(form.format(json.dumps({name: "hunter2x", "n": 1}, ensure_ascii=False)))
    escaped = masker().mask_text(form.format(json.dumps({name: "hunter2x", "n": 1})))
    assert [(f.label, f.token) for f in escaped.findings] == [(f.label, f.token) for f in plain.findings]
    assert ("hunter2x" in escaped.text) == ("hunter2x" in plain.text)
    if name != "mot_de_passe_secrété":
        assert "hunter2x" not in escaped.text and json.dumps(name) in escaped.text


def test_escaped_letters_without_a_name_need_no_view() -> None:
    gate = Expression(BY_NAME["escape"].gate.patterns[1])
    assert gate.search(json.dumps({"text": "длинный текст без имени"}).encode()) is None
    assert gate.search(json.dumps({"пароль": 1}).encode()) is not None


def test_a_text_without_escapes_has_no_view():
    assert BY_NAME["url"].view(b"plain") is None


@given(st.binary(max_size=60))
def test_every_part_of_a_view_lies_in_the_outer_text(data):
    data = data.replace(b"b", b"%4")
    view = BY_NAME["url"].view(data)
    if view:
        assert view.outer(0, len(view.data)) == (0, len(data))


TEXT = b"some readable text, long enough"


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("base64", base64.b64encode(TEXT)),
        ("base64", base64.urlsafe_b64encode(TEXT + b"~~~>>>???").rstrip(b"=")),
        ("base64", base64.b64encode(TEXT.decode().encode("utf-16-le"))),
        ("hex", TEXT.hex().encode()),
        ("hex", b"x" + TEXT.hex().encode()),
        ("gzip", base64.b64encode(gzip.compress(TEXT, mtime=0))),
    ],
)
def test_wrapped_runs(name, run):
    (wrapped,) = find_wrapped(b"before " + run + b" after")
    assert wrapped.name == name
    assert wrapped.data.replace(b"\0", b"").startswith(TEXT)


@pytest.mark.parametrize(
    "text",
    [b"da39a3ee5e6b4b0d3255bfef95601890afd80709", b"550e8400-e29b-41d4-a716-446655440000",
     base64.b64encode(bytes(range(200))),
     b"/usr/local/lib/python/site-packages/module"],
)  # fmt: skip
def test_what_does_not_decode_to_text_is_left(text):
    assert list(find_wrapped(text)) == []


def test_a_zip_bomb_is_cut():
    bomb = base64.b64encode(gzip.compress(b"a" * 50_000_000, mtime=0))
    (wrapped,) = find_wrapped(bomb)
    assert len(wrapped.data) == 1 << 20


def test_what_counts_as_text():
    assert is_text("grün ünd Übel".encode())
    assert is_text("grün".encode()[:3])
    assert is_text("text".encode("utf-16-le"))
    assert not any(map(is_text, (b"", b"\xff\xfe\xfd", b"\x01\x02\x03abc", b"a\0bcdefgh")))


def test_wrapping_again():
    (wrapped,) = find_wrapped(base64.b64encode(TEXT))
    assert base64.b64decode(wrap(wrapped, b"masked")) == b"masked"
    assert is_worth_wrapping(wrapped, 3)
    assert not is_worth_wrapping(wrapped, 20)
