import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masking.structured import mask_headers, mask_json, mask_rows
from tests.masking.helpers import masker

CARD = 4111111111111111


def test_rows_by_column_name_and_by_content():
    rows = [["1", "hunter2", None, "a@b.cd"], ["2", "", "4111111111111111", "x"]]
    masked, findings = mask_rows(masker(), ["id", "password", "note", "what"], rows)
    assert masked[0][0] == "1" and masked[0][2] is None and masked[1][1] == "" and masked[1][3] == "x"
    assert [(f.label, f.place) for f in findings] == [
        ("password", "password"),
        ("email", "what"),
        ("payment_card", "note"),
    ]
    assert rows[0][1] == "hunter2"
    assert mask_rows(masker(), [], [["a@b.cd"]])[1][0].place == "column 1"


def test_headers():
    headers = [("Authorization", "Basic dXNlcjpwYXNz"), ("Cookie", "a=1; b=2"), ("Set-Cookie", "s=1; Path=/"),
               ("X-Api-Key", "abcdef12"), ("Accept", "*/*"), ("Referer", "https://x.example/?mail=a@b.cd")]  # fmt: skip
    masked, findings = mask_headers(masker(), headers)
    values = dict(masked)
    assert values["Authorization"].startswith("Basic ‹http_authorization:")
    assert values["Cookie"].startswith("a=‹http_cookie:") and "; b=‹http_cookie:" in values["Cookie"]
    assert values["Set-Cookie"].endswith("; Path=/")
    assert values["Accept"] == "*/*"
    assert [f.place for f in findings] == ["authorization", "cookie", "cookie", "set-cookie", "x-api-key", "referer"]


def test_json_tables() -> None:
    document = b'{"columns": ["id", "password"], "rows": [[1, "hunter2"], [2, 12345678]], "note": "x"}'
    masked = mask_json(masker(), document)
    rows = json.loads(masked.data)["rows"]
    assert [row[0] for row in rows] == [1, 2] and all(row[1].startswith("‹password:") for row in rows)
    assert [f.place for f in masked.findings] == ["$.rows[0][1]", "$.rows[1][1]"]


def test_json_without_a_hit_is_the_same_object():
    data = b'{"a": [1.0, 2e5, "x"]}'
    assert mask_json(masker(), data).data is data


def test_json_values_are_masked_and_all_else_stays_byte_for_byte():
    data = b'{ "id":17,\t"card":4111111111111111, "f":0.4111111111111111,"user":{"password":"p\\"w"}, "n":null }'
    masked = mask_json(masker(), data)
    before, after = masked.data.decode().split('"‹payment_card:')
    assert before == '{ "id":17,\t"card":'
    assert ', "f":0.4111111111111111,"user":{"password":"‹password:' in after
    assert json.loads(masked.data)["n"] is None
    assert [f.place for f in masked.findings] == ["$.card", "$.user.password"]


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b'{"p\\u0061ssword": "hunter2"}', "$.password"),
        (b'{"passwords": ["hunter2", "b"]}', "$.passwords[0]"),
        (b'[{"a": 1}, {"pin": 1234}]', "$[1].pin"),
        (b'{"a": "{\\"password\\": \\"hunter2\\"}"}', "$.a.password"),
        (b'{"a": 1}\n{"token": "abcd1234"}\n', "$.token"),
        (b'{"password": "hunter2 cut of', "$.password"),
        (b'"a@b.cd"', "$"),
        (b'{"a@b.cd": 1}', "$ (key)"),
    ],
)
def test_places(data, place):
    masked = mask_json(masker(), data)
    assert masked.findings[0].place == place
    assert b"hunter2" not in masked.data
    assert mask_json(masker(), masked.data).data == masked.data


@pytest.mark.parametrize(
    "data", [b"{password=hunter2}", b"password=hunter2", b'{"a" password: "hunter2"', b"{'password': 'hunter2'}"]
)
def test_what_is_no_json_is_masked_as_text(data):
    assert b"hunter2" not in mask_json(masker(), data).data


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.sampled_from(["a@b.cd", CARD, "4111 1111 1111 1111", '{"password":"x"}']),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=6) | st.sampled_from(["password", "email", "card_number"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(JSON, st.booleans())
def test_masked_json_is_json_of_the_same_shape_and_stable(value, is_ascii):
    data = json.dumps([value], ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    masked = mask_json(masker(), data)
    assert _shape(_load(masked.data)) == _shape(_load(data))
    assert mask_json(masker(), masked.data).data == masked.data
    assert b"a@b.cd" not in masked.data


def _load(data):
    return json.loads(data.decode("utf-8", "surrogatepass"))


def _shape(value):
    if isinstance(value, dict):
        return [_shape(each) for each in value.values()]
    return [_shape(each) for each in value] if isinstance(value, list) else 0


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80) | st.text(alphabet='{}[]",:\\ 1a', max_size=60).map(str.encode))
def test_any_bytes_are_masked_without_an_error(data):
    mask_json(masker(), b'{"password": "hunter2", ' + data)
