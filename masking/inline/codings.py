"""Content codings (gzip, deflate, br, zstd), in pieces and both ways. What a piece expands to is bounded."""

import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import brotli
import zstandard

from masking.inline.model import Unreadable

SLICE_BYTES: Final = 65_536
"""About the most that a decoder gives at once."""

MAX_CODINGS: Final = 3
MAX_RATIO: Final = 400
MIN_CHECKED_BYTES: Final = 32 << 20
_ZSTD_BITE: Final = 256  # zstd has no limit on its output: a block of 128 KiB may take four bytes
_ZSTD_WINDOW: Final = 1 << 23
_GZIP: Final = b"\x1f\x8b"


class Decoder(Protocol):
    def decode(self, data: bytes) -> Iterator[bytes]:
        """Raises Unreadable."""

    def finish(self) -> None:
        """Raises Unreadable when the end has not come."""


class Encoder(Protocol):
    def encode(self, data: bytes) -> bytes:
        """What a reader needs to read all of `data`."""

    def finish(self) -> bytes: ...


def parse_codings(content_encoding: str) -> list[str]:
    """The codings in the order in which they were applied, without identity. Raises Unreadable for unknown ones."""
    if not content_encoding:
        return []
    names = [name.strip().lower() for name in content_encoding.split(",")]
    codings = [name.removeprefix("x-") for name in names if name not in ("", "identity")]
    if len(codings) > MAX_CODINGS or any(name not in CODINGS for name in codings):
        raise Unreadable("the coding of the content is not known")
    return codings


def narrow(accept_encoding: str) -> str:
    """An Accept-Encoding that leaves only what can be decoded here."""
    kept = [item.strip() for item in accept_encoding.split(",") if item.partition(";")[0].strip().lower() in ACCEPTABLE]
    return ", ".join(kept) or "identity"


class _ZlibDecoder:
    """gzip (several members, too) and deflate, in zlib's form or, as some servers send it, without zlib's head."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._stream = zlib.decompressobj(wbits)
        self._head = b""
        self._has_begun = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Slices of at most SLICE_BYTES."""
        data, self._head = self._head + data, b""
        if not self._has_begun and not self._begin(data):
            self._head = data
            return
        piece = b""
        while data or len(piece) >= SLICE_BYTES:
            if self._stream.eof and not self._begin_member(data):
                return  # what follows the end means nothing
            try:
                piece = self._stream.decompress(data, SLICE_BYTES)
            except zlib.error:
                raise Unreadable(_MISCODED) from None
            if piece:
                yield piece
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail

    def finish(self) -> None:
        """Raises Unreadable when the end has not come."""
        if self._head or (self._has_begun and not self._stream.eof):
            raise Unreadable(_CUT)

    def _begin(self, data: bytes) -> bool:
        """Two bytes tell whether there is a head. False: they have not come."""
        if len(data) < 2:
            return False
        self._has_begun = True
        if self._wbits == zlib.MAX_WBITS and (data[0] & 15 != 8 or (data[0] << 8 | data[1]) % 31):
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        return True

    def _begin_member(self, data: bytes) -> bool:
        if self._wbits <= zlib.MAX_WBITS or data[:2] != _GZIP[: len(data[:2])]:
            return False
        self._stream = zlib.decompressobj(self._wbits)
        return bool(data)


class _ZstdDecoder:
    def __init__(self) -> None:
        self._context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._stream = self._context.decompressobj()
        self._has_begun = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Slices of a few blocks."""
        for start in range(0, len(data), _ZSTD_BITE):
            bite = data[start : start + _ZSTD_BITE]
            while bite:
                if self._stream.eof:
                    self._stream = self._context.decompressobj()
                self._has_begun = True
                try:
                    piece = self._stream.decompress(bite)
                except zstandard.ZstdError:
                    raise Unreadable(_MISCODED) from None
                if piece:
                    yield piece
                bite = self._stream.unused_data if self._stream.eof else b""

    def finish(self) -> None:
        """Raises Unreadable when the end has not come."""
        if self._has_begun and not self._stream.eof:
            raise Unreadable(_CUT)


class _BrotliDecoder:
    def __init__(self) -> None:
        self._stream = brotli.Decompressor()
        self._has_begun = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Slices of about SLICE_BYTES."""
        self._has_begun = self._has_begun or bool(data)
        is_more = bool(data)
        while is_more and not self._stream.is_finished():
            try:
                piece = bytes(self._stream.process(data, output_buffer_limit=SLICE_BYTES))
            except brotli.error:
                raise Unreadable(_MISCODED) from None
            data, is_more = b"", bool(piece)
            if piece:
                yield piece

    def finish(self) -> None:
        """Raises Unreadable when the end has not come."""
        if self._has_begun and not self._stream.is_finished():
            raise Unreadable(_CUT)


class _ZlibEncoder:
    def __init__(self, wbits: int) -> None:
        self._stream = zlib.compressobj(4, zlib.DEFLATED, wbits)

    def encode(self, data: bytes) -> bytes:
        """Flushed: a reader has all of it."""
        return self._stream.compress(data) + self._stream.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        """The end."""
        return self._stream.flush()


class _ZstdEncoder:
    def __init__(self) -> None:
        self._stream = zstandard.ZstdCompressor(level=3).compressobj()

    def encode(self, data: bytes) -> bytes:
        """Flushed: a reader has all of it."""
        return self._stream.compress(data) + self._stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def finish(self) -> bytes:
        """The end."""
        return self._stream.flush()


class _BrotliEncoder:
    def __init__(self) -> None:
        self._stream = brotli.Compressor(quality=4)

    def encode(self, data: bytes) -> bytes:
        """Flushed: a reader has all of it."""
        return bytes(self._stream.process(data) + self._stream.flush())

    def finish(self) -> bytes:
        """The end."""
        return bytes(self._stream.finish())


class Decoding:
    """The codings of one body, taken off. Raises Unreadable on a bomb, too."""

    def __init__(self, codings: list[str]) -> None:
        self._decoders = [CODINGS[name][0]() for name in reversed(codings)]
        self._taken = 0
        self._given = 0

    def decode(self, data: bytes) -> Iterator[bytes]:
        """The content of a piece, in slices."""
        self._taken += len(data)
        for piece in self._through(0, data):
            self._given += len(piece)
            if self._given > max(MIN_CHECKED_BYTES, self._taken * MAX_RATIO):
                raise Unreadable("the content expands too far")
            yield piece

    def finish(self) -> None:
        """Raises Unreadable when the content has no end."""
        for decoder in self._decoders:
            decoder.finish()

    def _through(self, index: int, data: bytes) -> Iterator[bytes]:
        if index == len(self._decoders):
            if data:
                yield data
            return
        for piece in self._decoders[index].decode(data):
            yield from self._through(index + 1, piece)


class Encoding:
    """The codings of one body, put on again."""

    def __init__(self, codings: list[str]) -> None:
        self._encoders = [CODINGS[name][1]() for name in codings]

    def encode(self, data: bytes) -> bytes:
        """Flushed: a reader has all of `data`."""
        for encoder in self._encoders if data else ():
            data = encoder.encode(data)
        return data

    def finish(self, data: bytes) -> bytes:
        """The last of the content, and the end."""
        for encoder in self._encoders:
            data = (encoder.encode(data) if data else b"") + encoder.finish()
        return data


_MISCODED: Final = "the content is not of the coding that it names"
_CUT: Final = "the content ends too early"
CODINGS: Final[dict[str, tuple[Callable[[], Decoder], Callable[[], Encoder]]]] = {
    "gzip": (lambda: _ZlibDecoder(31), lambda: _ZlibEncoder(31)),
    "deflate": (lambda: _ZlibDecoder(zlib.MAX_WBITS), lambda: _ZlibEncoder(zlib.MAX_WBITS)),
    "zstd": (_ZstdDecoder, _ZstdEncoder),
    "br": (_BrotliDecoder, _BrotliEncoder),
}
ACCEPTABLE: Final = frozenset({*CODINGS, "x-gzip", "identity"})
