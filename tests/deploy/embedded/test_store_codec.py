"""Compressed bodies, whole, at every cut, damaged, and far larger unpacked than packed."""

import gzip
import zlib

import lz4.frame
import pytest
import zstandard

from deploy.embedded.store_codec import PACKERS, PIECE_BYTES, BodyReader, make_unpacker, pick_packer
from deploy.embedded.store_errors import QueryError

PACK = {
    "lz4": lz4.frame.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "identity": bytes,
}


class Pieces:
    """A request body in the pieces given."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    async def readany(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""


async def read_all(encoding: str, *pieces: bytes) -> bytes:
    return await BodyReader(Pieces(*pieces), make_unpacker(encoding)).take(1 << 40)


@pytest.mark.parametrize("encoding", PACK)
async def test_bodies_unpack_at_every_cut(encoding: str) -> None:
    plain = b"some text, some text, some more text" * 3
    packed = PACK[encoding](plain) + (PACK[encoding](b"and another frame"))
    for cut in range(len(packed) + 1):
        pieces = [piece for piece in (packed[:cut], packed[cut:]) if piece]
        assert await read_all(encoding, *pieces) == plain + b"and another frame"
    assert await read_all(encoding, *(packed[n : n + 1] for n in range(len(packed)))) == plain + b"and another frame"


@pytest.mark.parametrize("encoding", ["lz4", "zstd", "gzip", "deflate"])
async def test_truncated_and_damaged_bodies_are_errors(encoding: str) -> None:
    packed = PACK[encoding](b"some text, some text" * 9)
    for cut in range(1, len(packed)):
        with pytest.raises(QueryError, match="BAD_ARGUMENTS"):
            await read_all(encoding, packed[:cut])
    with pytest.raises(QueryError):
        await read_all(encoding, b"nothing of the kind" * 9)
    assert await read_all(encoding) == b""


@pytest.mark.parametrize("encoding", ["lz4", "zstd", "gzip", "deflate"])
async def test_a_bomb_comes_in_bounded_pieces(encoding: str) -> None:
    packed = PACK[encoding](bytes(64 << 20))
    assert len(packed) < 1 << 20
    reader = BodyReader(Pieces(packed), make_unpacker(encoding))
    total = 0
    while piece := await reader.next_piece():
        assert len(piece) <= PIECE_BYTES
        total += len(piece)
    assert total == 64 << 20


async def test_take_stops_early() -> None:
    reader = BodyReader(Pieces(b"ab", b"cd", b"ef"), make_unpacker(""))
    assert await reader.take(3) == b"abcd"
    assert await reader.take(3) == b"ef"


def test_encodings_are_chosen_from_what_the_client_accepts() -> None:
    assert pick_packer("br, zstd;q=0.5, gzip") == "zstd"
    assert pick_packer("") == pick_packer("br") == ""
    assert set(PACKERS) == {"lz4", "zstd", "gzip", "deflate"}
    with pytest.raises(QueryError, match="not available"):
        make_unpacker("snappy")
