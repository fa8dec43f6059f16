import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masking.stream import StreamMasker
from tests.masking.helpers import masker

DOCUMENT = (
    b"head " * 30 + b'password = "hunter2hunter2" ' + b"middle " * 60 + b"card 4111 1111 1111 1111 " + b"more " * 50
    + b"-----BEGIN RSA PRIVATE KEY-----\n" + b"MIIEowIBAAKCAQEA0123456789\n" * 12
    + b"-----END RSA PRIVATE KEY----- tail "
    + b"end " * 40 + b"bob@example.com"
)  # fmt: skip


def run(chunks, **limits):
    stream = StreamMasker(masker(), **limits)
    return b"".join(map(stream.feed, chunks)) + stream.finish(), stream


@pytest.mark.parametrize("size", [1, 7, 64, 300, 10_000])
def test_chunks_give_what_the_whole_gives(size):
    whole = masker().mask_bytes(DOCUMENT)
    data, stream = run([DOCUMENT[i : i + size] for i in range(0, len(DOCUMENT), size)], carry_bytes=128)
    assert data == whole.data
    assert [(f.start, f.end, f.token) for f in stream.findings] == [(f.start, f.end, f.token) for f in whole.findings]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 200), max_size=20))
def test_any_cut_hides_the_secrets(sizes):
    chunks, position = [], 0
    for size in [*sizes, len(DOCUMENT)]:
        chunks.append(DOCUMENT[position : position + size])
        position += size
    data, _ = run(chunks, carry_bytes=128)
    assert not any(secret in data for secret in (b"hunter2", b"4111 1111", b"MIIEow", b"bob@"))


def test_memory_is_bounded_by_the_limit():
    stream = StreamMasker(masker(), carry_bytes=64, max_held_bytes=1000)
    stream.feed(b"-----BEGIN PRIVATE KEY-----\n")
    for _ in range(200):
        assert b"MIIE" not in stream.feed(b"MIIEow0123456789abcdef0123456789\n" * 4)
        assert len(stream._held) <= 1300
    with pytest.raises(ValueError, match="carry"):
        StreamMasker(masker(), carry_bytes=10, max_held_bytes=5)


def test_what_a_pause_has_shown_tells_what_comes_later():
    stream = StreamMasker(masker())
    assert stream.feed(b"first line\npassword = ") + stream.pause() == b"first line\npassword = "
    assert stream.held == b"" and stream.pause() == b""
    assert b"hunter2" not in (rest := stream.feed(b"hunter2hunter2\n") + stream.finish()) and rest.endswith(b"\n")
    assert [finding.start for finding in stream.findings] == [22]
    assert stream.feed(b"hunter2hunter2") + stream.finish() == b"hunter2hunter2"


def test_a_pause_keeps_as_much_as_it_is_told():
    stream = StreamMasker(masker())
    stream.feed(b"mail bob@example.com now\ntail\n")
    assert stream.pause(5).endswith(b" now\n") and stream.held == b"tail\n"
    assert stream.pause(5) == b"" and stream.finish() == b"tail\n"
