import gzip
import zlib

import brotli
import pytest
import zstandard

from masking.inline.codings import SLICE_BYTES, Decoding, Encoding, narrow, parse_codings
from masking.inline.model import Unreadable

TEXT = b"".join(b"line %d of the content\n" % number for number in range(20_000))
RAW = zlib.compressobj(6, zlib.DEFLATED, -15)
PACKED = {
    "gzip": gzip.compress(TEXT, mtime=0),
    "x-gzip": gzip.compress(TEXT[:1000], mtime=0) + gzip.compress(TEXT[1000:], mtime=0),
    "deflate": zlib.compress(TEXT),
    "Deflate": RAW.compress(TEXT) + RAW.flush(),
    "br": brotli.compress(TEXT),
    "zstd": zstandard.compress(TEXT),
    "zstd, identity": zstandard.compress(TEXT[:1000]) + zstandard.compress(TEXT[1000:]),
    "br, gzip": gzip.compress(brotli.compress(TEXT), mtime=0),
}


def decode(name, data, size=1 << 30):
    decoding = Decoding(parse_codings(name))
    out = [piece for start in range(0, len(data), size) for piece in decoding.decode(data[start : start + size])]
    decoding.finish()
    return out


@pytest.mark.parametrize("size", [1, 100, 1 << 30])
@pytest.mark.parametrize("name", PACKED)
def test_every_coding_is_taken_off_in_any_pieces(name, size):
    out = decode(name, PACKED[name], size)
    assert b"".join(out) == TEXT and max(map(len, out)) <= 3 * SLICE_BYTES


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd", "br, gzip"])
def test_what_was_put_on_so_far_can_be_read(name):
    encoding, decoding = Encoding(parse_codings(name)), Decoding(parse_codings(name))
    for number in range(3):
        piece = b"event %d\n" % number
        assert b"".join(decoding.decode(encoding.encode(piece))) == piece
    assert encoding.encode(b"") == b""
    assert b"".join(decoding.decode(encoding.finish(b"end"))) == b"end"
    decoding.finish()
    assert b"".join(decode(name, Encoding(parse_codings(name)).finish(TEXT))) == TEXT


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_what_is_cut_off_or_of_another_coding_is_an_error(name):
    with pytest.raises(Unreadable, match="too early"):
        decode(name, PACKED[name][:-5])
    with pytest.raises(Unreadable, match="coding"):
        decode(name, b"this is plain text, not packed at all" * 5)
    assert decode(name, b"") == []


def test_what_follows_the_end_of_a_gzip_is_dropped():
    assert b"".join(decode("gzip", gzip.compress(b"whole") + b"\0\0 rubbish", 7)) == b"whole"


@pytest.mark.parametrize("name", ["compress", "gzip, sdch", "gzip, gzip, gzip, gzip"])
def test_unknown_codings_are_an_error(name):
    with pytest.raises(Unreadable, match="coding"):
        parse_codings(name)


@pytest.mark.parametrize("name", ["gzip", "br", "zstd"])
def test_a_bomb_ends_in_bounded_memory(name):
    zeros = bytes(200 << 20)
    bomb = Encoding([name]).finish(zeros)
    del zeros
    most = 0
    with pytest.raises(Unreadable, match="expands too far"):
        for piece in Decoding([name]).decode(bomb):
            most = max(most, len(piece))
    assert most <= 64 << 20


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        ("gzip, br;q=0.9, sdch, zstd", "gzip, br;q=0.9, zstd"),
        ("compress", "identity"),
        ("*", "identity"),
        ("gzip;q=0, identity", "gzip;q=0, identity"),
    ],
)
def test_only_what_can_be_read_is_asked_for(asked, offered):
    assert narrow(asked) == offered
