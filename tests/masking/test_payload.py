import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masking.payload import decode_payload, mask_payload
from tests.masking.helpers import masker


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_text_payloads(encoding):
    masked = mask_payload(masker(), "my mail is bob@example.com, grüß".encode(encoding), "body")
    assert masked.text.startswith("my mail is ‹email:") and masked.text.endswith("›, grüß")
    assert masked.findings[0].place == "body"


def test_json_payloads():
    masked = mask_payload(masker(), b'{"password":"x"}')
    assert masked.text.startswith('{"password":"‹password:')
    assert masked.findings[0].place == "$.password"


def test_form_payloads():
    masked = mask_payload(masker(), b"user=bob&password=p%40ss+word&x=1", "", "application/x-www-form-urlencoded")
    assert "p%40ss" not in masked.text and masked.text.endswith("&x=1")


@pytest.mark.parametrize("data", [bytes(range(256)), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"abc\xff\xff"])
def test_binary_payloads_keep_nothing(data):
    assert mask_payload(masker(), data).text is None


def test_a_cut_last_character_is_dropped():
    assert decode_payload("grün".encode()[:3]) == ("gr", "utf-8")
    assert decode_payload(b"")[0] == ""


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_are_text_or_binary(data):
    masked = mask_payload(masker(), data)
    assert (masked.text is None) == (masked.encoding == "binary")


def test_events_are_masked_by_the_structure_of_their_data() -> None:
    stream = (
        b'event: delta\ndata: {"password": "say \\"friend\\"", "n": 4111111111111111}\n\n'
        b": ask bob@example.com\ndata: [1, 2]\r\ndata: plain\n\ndata: {cut"
    )
    masked = mask_payload(masker(), stream, "payload", "text")
    assert masked.text is not None
    lines = masked.text.split("\n")
    document = json.loads(lines[1].removeprefix("data: "))
    assert document["password"].startswith("‹password:") and document["n"].startswith("‹payment_card:")
    assert lines[3].startswith(": ask ‹email:") and lines[4:] == ["data: [1, 2]\r", "data: plain", "", "data: {cut"]
    assert [finding.label for finding in masked.findings] == ["password", "payment_card", "email"]
    assert mask_payload(masker(), masked.text.encode(), "payload", "text").text == masked.text
