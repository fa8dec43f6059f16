import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masking.inline.json_stream import MAX_TOKEN_BYTES, JsonRewriter
from masking.inline.model import Unreadable
from tests.masking.inline.helpers import CARD, EMAIL, PASSWORD, order, run

DOCUMENT = {
    "id": 1,
    "card": int(CARD),
    "note": f"paid with {CARD[:4]} {CARD[4:8]} {CARD[8:12]} {CARD[12:]}",
    "inner": json.dumps({"password": PASSWORD, "n": [1, 2]}),
    "people": [{"email": EMAIL, "age": 44, "ok": True}, {"email": None, EMAIL: "key"}],
    "rate": 12.75,
}
SECRETS = (CARD.encode(), CARD[8:12].encode() + b" ", PASSWORD.encode(), b"bob.smith")
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


def rewrite(data, size=1 << 30, **fields):
    values = order(**fields)
    report = values.new_report()
    return run(JsonRewriter(values, report), data, size), report


@pytest.mark.parametrize("is_ascii", [True, False])
@pytest.mark.parametrize("size", [1, 2, 7, 64, 1 << 30])
def test_values_go_and_all_else_stays_byte_for_byte(size, is_ascii):
    data = json.dumps(DOCUMENT, indent=1, ensure_ascii=is_ascii).encode()
    shown, report = rewrite(data, size)
    assert not any(secret in shown for secret in SECRETS)
    parsed = json.loads(shown)
    assert parsed["card"] is None and parsed["rate"] == 12.75 and parsed["id"] == 1
    assert json.loads(parsed["inner"])["n"] == [1, 2]
    assert parsed["people"][0]["age"] == 44 and parsed["people"][0]["ok"] is True
    assert {(e.label, e.place) for e in report.take()} == {
        ("payment_card", "$.card"),
        ("payment_card", "$.note"),
        ("password", "$.inner.password"),
        ("email", "$.people[0].email"),
        ("email", "$.people[1] (key)"),
    }


def test_a_whole_text_gives_what_pieces_give():
    data = json.dumps(DOCUMENT).encode()
    values = order()
    assert JsonRewriter(values, values.new_report()).rewrite_whole(data) == rewrite(data, 5)[0]
    clean = b'{"a": [1, "x"]}'
    assert JsonRewriter(values, values.new_report()).rewrite_whole(clean) is clean


@pytest.mark.parametrize(("stand_ins", "number", "boolean"), [(False, None, None), (True, 0, False)])
def test_types_survive(stand_ins, number, boolean):
    data = json.dumps({"card": int(CARD), "vip": True, "pay": 1.5, "none": None, "text": "x"}).encode()
    shown, _ = rewrite(data, columns=("vip", "pay", "none", "text"), has_stand_ins=stand_ins)
    parsed = json.loads(shown)
    assert (parsed["card"], parsed["vip"], parsed["pay"], parsed["none"]) == (number, boolean, number, None)
    assert parsed["text"].startswith("‹column:")


@settings(deadline=None, max_examples=150)
@given(JSONS, st.integers(1, 40), st.booleans())
def test_json_stays_json_of_the_same_shape(document, size, is_ascii):
    data = json.dumps(document, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    shown, report = rewrite(data, size)
    if not report.total:
        assert shown == data
    assert type(json.loads(shown.decode("utf-8", "surrogatepass"))) is type(document)


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_bytes_pass_without_an_error(data, size):
    shown, report = rewrite(data, size)
    assert shown == data or report.total or b'"' in data  # a string that is cut off is written anew


@pytest.mark.parametrize("size", [1, 100, 9_000])
def test_what_turns_out_to_be_no_json_is_masked_as_text(size):
    data = b'{"a": 1, oops ' + f"{EMAIL} and {CARD}".encode() + b" more" * 50
    shown, _ = rewrite(data, size)
    assert b"bob.smith" not in shown and CARD.encode() not in shown and shown.startswith(b'{"a": 1, oops ')


def test_where_columns_are_named_no_json_is_an_error():
    with pytest.raises(Unreadable, match="no JSON"):
        rewrite(b"{'salary': 3}", columns=("salary",))
    assert rewrite(b"{'salary': 3}", columns=("salary",), is_strict=False)[0] == b"{'salary': 3}"


@pytest.mark.parametrize("size", [700, 100_000])
@pytest.mark.parametrize(("key", "is_gone"), [("text", False), ("salary", True), ("password", True)])
def test_a_long_string_is_masked_in_pieces(size, key, is_gone):
    long = ("fill " * 20_000) + EMAIL + (" \n fill" * 20_000) + " " + CARD
    data = json.dumps({"before": 1, key: long, "after": EMAIL}).encode()
    assert len(data) > 3 * MAX_TOKEN_BYTES
    values = order(columns=("salary",))
    rewriter = JsonRewriter(values, values.new_report())
    shown, most = b"", 0
    for start in range(0, len(data), size):
        shown += rewriter.feed(data[start : start + size])
        most = max(most, start + size - len(shown)) if not is_gone else 0
    parsed = json.loads(shown + rewriter.finish())
    assert most < 3 * MAX_TOKEN_BYTES  # it is not held as a whole
    assert "bob.smith" not in parsed[key] and CARD not in parsed[key] and parsed["after"].startswith("‹email:")
    assert ("fill" in parsed[key]) is not is_gone


def test_documents_after_one_another_and_a_mark_at_the_start():
    data = b"\xef\xbb\xbf" + b"".join(json.dumps({"email": EMAIL, "n": n}).encode() + b"\n" for n in range(50))
    shown, report = rewrite(data, 17)
    assert [json.loads(line)["n"] for line in shown[3:].splitlines()] == list(range(50))
    assert b"bob" not in shown and sum(e.count for e in report.take()) == 50
    assert rewrite(b'\x1e{"email": "' + EMAIL.encode() + b'"}\n')[0].startswith(b"\x1e{")


@pytest.mark.parametrize("cut", [b'{"email": "' + EMAIL.encode(), b'{"password": "abcd efgh', b'{"ok": tru', b"[12"])
def test_a_text_that_is_cut_off_shows_no_secret(cut):
    shown, _ = rewrite(cut, 4)
    assert b"bob.smith" not in shown and b"efgh" not in shown
    assert shown.startswith(cut[:5])
    assert rewrite(cut, 4, columns=("other",))[0] == shown


def test_only_whole_numbers_go():
    shown, report = rewrite(b'{"a": 0.4111111111111111, "b": 12345}')
    assert shown == b'{"a": 0.4111111111111111, "b": 12345}' and not report.total


def test_what_only_neighbours_tell_goes_too():
    secret = "aHVudGVyMg=="
    documents = [
        {"kind": "Secret", "data": {"a": secret}},
        {"env": [{"name": "DB_PASSWORD", "value": secret}]},
        {"note": json.dumps({"name": "DB_PASSWORD", "value": secret})},
    ]
    for document in documents:
        data = json.dumps(document).encode()
        shown, report = rewrite(data)
        assert secret.encode() not in shown and report.total == 1, document
        json.loads(shown)
        values = order()
        ascii_only = run(JsonRewriter(values, values.new_report(), ascii_only=True), data, 1 << 30)
        assert ascii_only.isascii() and json.loads(ascii_only) == json.loads(shown)
        assert rewrite(data, labels=("email",))[0] == data
