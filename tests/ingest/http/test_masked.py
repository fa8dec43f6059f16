"""What an HTTP stream needs to mask one answer, without a network."""

import json

import pytest

from ingest.http.masked import MaskedAnswer, ask_for_whole, fit_fields
from masking.inline.model import MaskOrder, Unreadable
from masking.inline.values import ValueMaskers
from tests.masking.helpers import masker

MASKERS = ValueMaskers(masker())
EMAIL = "bob.smith@example.com"


def answer(**fields: object) -> MaskedAnswer:
    return MaskedAnswer(MASKERS.masker_for(MaskOrder(**fields)), {"policy.ids": "a"})  # type: ignore[arg-type]


def test_a_read_asks_for_the_whole_in_a_coding_that_is_known() -> None:
    fields = ((b"Range", b"bytes=0-9"), (b"If-None-Match", b'"1"'), (b"accept-encoding", b"sdch, gzip"), (b"X", b"y"))
    assert ask_for_whole(fields, is_safe=True) == ((b"accept-encoding", b"gzip"), (b"X", b"y"))
    write = ((b"If-Match", b'"1"'), (b"X", b"y"))
    assert ask_for_whole(write, is_safe=False) == write


def test_a_head_fits_the_masked_body() -> None:
    fields = ((b"ETag", b'"1"'), (b"content-length", b"7"), (b"Digest", b"sha-256=x"), (b"X", b"y"))
    assert fit_fields(fields, 12) == ((b"content-length", b"12"), (b"X", b"y"))
    assert fit_fields(fields, None) == ((b"X", b"y"),)


def test_a_part_of_a_content_is_not_masked() -> None:
    with pytest.raises(Unreadable, match="part"):
        answer().begin_body(206, ())
    answer(is_strict=False).begin_body(206, ())


@pytest.mark.parametrize("size", [3, 1000])
def test_messages_are_masked_each_by_itself(size: int) -> None:
    masked = answer()
    message = json.dumps({"mail": EMAIL}).encode()
    pieces = [message[start : start + size] for start in range(0, len(message), size)]
    for _ in range(2):
        shown = b"".join(masked.take_message(piece, is_text=True, is_final=piece is pieces[-1]) for piece in pieces)
        assert json.loads(shown)["mail"].startswith("‹email:")
    assert masked.take_message(b"", is_text=True, is_final=True) == b""
    assert len(masked.report.take()) == 1 and masked.report.total == 2


def test_a_binary_message_is_relayed_only_if_policy_says_so_and_the_record_tells_once() -> None:
    with pytest.raises(Unreadable):
        answer().take_message(b"\x00\x01\x02", is_text=False, is_final=True)
    masked = answer(is_strict=False)
    assert masked.take_message(b"\x00\x01\x02", is_text=False, is_final=True) == b"\x00\x01\x02"
    assert "neither" in masked.attributes()["mask.unread"] and masked.attributes() == {}


def test_words_of_a_status_line() -> None:
    assert answer().reason(b"Not Found") == b"Not Found"
    assert answer().reason(f"no {EMAIL}".encode()) == b""
