import pytest

from masking.inline.headers import CONDITIONS, VALIDATORS, mask_fields, without
from tests.masking.inline.helpers import CARD, EMAIL, order

FIELDS = (
    (b"Content-Type", b"application/json"),
    (b"X-Api-Key", b"abcdefgh12345678"),
    (b"Location", f"/next?mail={EMAIL}".encode()),
    (b"Set-Cookie", b"sid=abcdef0123456789; Path=/; HttpOnly"),
    (b"Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    (b"X-Level", b"gold"),
)


def test_values_go_and_the_rest_of_the_head_stays() -> None:
    values = order()
    report = values.new_report()
    shown = dict(mask_fields(values, report, FIELDS))
    assert [name for name, _ in FIELDS] == list(shown)
    assert shown[b"Location"].startswith("/next?mail=‹email:".encode())
    assert shown[b"Set-Cookie"].endswith(b"; Path=/; HttpOnly") and b"abcdef" not in shown[b"Set-Cookie"]
    assert b"abcdefgh" not in shown[b"X-Api-Key"]
    assert all(shown[name] == dict(FIELDS)[name] for name in (b"Content-Type", b"Sec-WebSocket-Accept", b"X-Level"))
    assert {e.place for e in report.take()} == {"header.x-api-key", "header.location", "header.set-cookie"}


def test_an_order_may_name_headers_and_labels() -> None:
    values = order(labels=("email",), columns=("x-level",))
    shown = dict(mask_fields(values, values.new_report(), FIELDS))
    assert shown[b"X-Level"].startswith("‹column:".encode())
    assert shown[b"Set-Cookie"] == dict(FIELDS)[b"Set-Cookie"] and shown[b"X-Api-Key"] == dict(FIELDS)[b"X-Api-Key"]
    clean = ((b"A", b"b"),)
    assert mask_fields(values, values.new_report(), clean) == clean


@pytest.mark.parametrize("value", [b"caf\xe9 " + EMAIL.encode(), CARD.encode() + b" \xff"])
def test_bytes_of_any_kind(value: bytes) -> None:
    values = order()
    ((_, shown),) = mask_fields(values, values.new_report(), ((b"X-Note", value),))
    assert EMAIL.encode() not in shown and CARD.encode() not in shown


def test_names_of_fields_are_of_any_case() -> None:
    fields = ((b"ETag", b'"1"'), (b"RANGE", b"bytes=0-"), (b"X", b"y"))
    assert without(without(fields, VALIDATORS), CONDITIONS) == ((b"X", b"y"),)
