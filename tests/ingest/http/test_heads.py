"""What is read out of heads, and what a hostile one cannot do."""

import gzip
import zlib
from base64 import b64encode

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ingest.http import heads


def test_claims() -> None:
    assert heads.read_claim(b"Bearer agent-1.abc") == heads.Claim("agent-1", "abc")
    assert heads.read_claim(b"bearer  agent-1.a.b") == heads.Claim("agent-1", "a.b")
    assert heads.read_claim(b"Basic " + b64encode(b"agent-1:abc")) == heads.Claim("agent-1", "abc")
    assert "abc" not in repr(heads.read_claim(b"Bearer agent-1.abc"))


@pytest.mark.parametrize("value", [b"", b"Bearer", b"Bearer x", b"Bearer .x", b"Basic ???", b"Digest a.b", b"x" * 9999])
def test_what_is_no_claim(value: bytes) -> None:
    assert heads.read_claim(value) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_claim_or_none(value: bytes) -> None:
    heads.read_claim(value)
    heads.read_claim(b"Basic " + value)


def test_forwarded_and_recorded_headers() -> None:
    fields = ((b"A", b"1"), (b"a", b"2"), (b"X-Custody-Run-Id", b"r"), (b"Proxy-Authorization", b"Basic x"))
    assert heads.forwarded(fields) == ((b"A", b"1"), (b"a", b"2"))
    assert heads.as_attributes(fields[:2]) == {"header.a": "1\n2"}
    assert heads.read_links(fields) == {"run_id": "r"}
    assert heads.replaced(fields[:2], b"a", b"3") == ((b"A", b"3"),)
    assert heads.replaced((), b"Host", b"h") == ((b"Host", b"h"),)


def test_links_are_cut_at_a_blank_so_that_no_half_of_a_secret_is_left() -> None:
    words = b"word " * 102
    assert heads.read_links(((b"X-Custody-Plan", words + b"secretsecret"),)) == {"plan": words.decode().strip()}
    assert heads.read_links(((b"X-Custody-Plan", b"s" * 513),)) == {"plan": ""}


def test_lists_over_several_headers_are_one() -> None:
    fields = ((b"baggage", b"a=1"), (b"Baggage", b"b=2"), (b"traceparent", b"x"), (b"traceparent", b"y"))
    assert heads.read_links(fields) == {"baggage": "a=1,b=2", "traceparent": "y"}
    assert heads.read_links(((b"baggage", b"x" * 500), (b"baggage", b"secretsecret"))) == {"baggage": ""}


CONTENT = b"some content " * 1000


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        (b"gzip", gzip.compress(CONTENT, mtime=0)),
        (b"deflate", zlib.compress(CONTENT)),
        (b"br", brotli.compress(CONTENT)),
        (b"ZSTD", zstandard.compress(CONTENT)),
    ],
)
def test_codings_are_read_and_bounded(coding: bytes, data: bytes) -> None:
    assert heads.decode_content(data, coding, 1 << 20) == CONTENT
    assert heads.decode_content(data, coding, 100) == CONTENT[:100]


@given(st.sampled_from([b"gzip", b"deflate", b"br", b"zstd", b"other"]), st.binary(max_size=300))
def test_broken_codings_are_none_or_bounded(coding: bytes, data: bytes) -> None:
    found = heads.decode_content(data, coding, 1000)
    assert found is None or len(found) <= 1000


def test_types_and_places() -> None:
    assert heads.payload_type(b"application/problem+json; charset=utf-8") == "json"
    assert heads.payload_type(b"text/event-stream") == "text"
    assert heads.payload_type(b"image/png") == "binary"
    assert heads.authority("a.test", 443, True) == "a.test"
    assert heads.authority("::1", 8080, False) == "[::1]:8080"
    assert heads.split_authority("[::1]:8080", 80) == ("::1", 8080)
    assert heads.split_authority("A.test", 80) == ("a.test", 80)
    assert heads.split_authority("a.test:99999", 80) is None
    assert heads.split_authority("", 80) is None
