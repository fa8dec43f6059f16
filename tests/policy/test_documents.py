"""JSON is read as every reader reads it, or not at all."""

import pytest

from policy.documents import messages_of, read_document


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"a": 1, "a": 2}', b'[{"b": {"a": 1, "a": 2}}]', b'\xff{"a": 1}', b"[" * 100_000],
    ids=range(6),
)
def test_what_is_malformed_or_ambiguous_is_nothing(body: bytes) -> None:
    assert read_document(body) is None
    assert read_document(body.decode("utf-8", "surrogateescape")) is None


def test_a_document_is_one_message_or_a_batch() -> None:
    assert messages_of(read_document(b'{"a": 1}')) == [{"a": 1}]
    assert messages_of(read_document(b'[{"a": 1}, 2]')) == [{"a": 1}, 2]
