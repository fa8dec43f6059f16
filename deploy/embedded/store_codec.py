"""Compression of request and response bodies, bounded: a small body may not unpack into an endless one."""

import gzip
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

import lz4.frame
from backports import zstd  # zstandard's incremental decompressor has no bound on its output

from deploy.embedded.store_errors import bad_request

PIECE_BYTES: Final = 1 << 20
MAX_WINDOW_LOG: Final = 27


class Unpacker(Protocol):
    """Turns pieces of a compressed body into plain pieces of at most about PIECE_BYTES each."""

    def push(self, data: bytes) -> None: ...

    def pull(self) -> bytes:
        """The next plain piece; empty when more input is needed. Raises QueryError on damaged input."""

    def finish(self) -> None:
        """Raises QueryError when the body ended within a frame."""


class Identity:
    """Bodies as they are."""

    def __init__(self) -> None:
        self._data = b""

    def push(self, data: bytes) -> None:
        self._data += data

    def pull(self) -> bytes:
        data, self._data = self._data, b""
        return data

    def finish(self) -> None:
        return


class Framed:
    """Compressed frames, one or several after another (clickhouse-connect sends a frame a block)."""

    def __init__(self, make: Callable[[], Any], step: Callable[[Any, bytes], bytes]) -> None:
        self._make = make
        self._step = step
        self._frame: Any = None
        self._waiting = b""

    def push(self, data: bytes) -> None:
        self._waiting += data

    def pull(self) -> bytes:
        while True:
            if self._frame is None:
                if not self._waiting:
                    return b""
                self._frame = self._make()
            data, self._waiting = self._waiting, b""
            piece = self._unpack(data)
            if self._frame.eof:
                self._waiting, self._frame = self._frame.unused_data or b"", None
            elif not piece:
                return b""
            if piece:
                return piece

    def _unpack(self, data: bytes) -> bytes:
        try:
            return self._step(self._frame, data)
        except (RuntimeError, zlib.error, zstd.ZstdError, EOFError) as error:
            raise bad_request(f"the compressed body is damaged: {error}") from None

    def finish(self) -> None:
        if self._frame is not None:
            raise bad_request("the compressed body ends too early")


class ByteSource(Protocol):
    """aiohttp's request body."""

    async def readany(self) -> bytes: ...


class BodyReader:
    """The plain bytes of a request body, piece by piece."""

    def __init__(self, source: ByteSource, unpacker: Unpacker) -> None:
        self._source = source
        self._unpacker = unpacker

    async def next_piece(self) -> bytes:
        """The next piece, never much more than PIECE_BYTES; empty at the end. Raises QueryError."""
        while True:
            if plain := self._unpacker.pull():
                return plain
            data = await self._source.readany()
            if not data:
                self._unpacker.finish()
                return b""
            self._unpacker.push(data)

    async def take(self, size: int) -> bytes:
        """At least `size` bytes (at most about PIECE_BYTES more), or all there is."""
        taken = bytearray()
        while len(taken) < size and (piece := await self.next_piece()):
            taken += piece
        return bytes(taken)


def _step_lz4(frame: Any, data: bytes) -> bytes:
    return bytes(frame.decompress(data, PIECE_BYTES))


def _step_zstd(frame: Any, data: bytes) -> bytes:
    return bytes(frame.decompress(data, PIECE_BYTES))


def _open_zstd() -> zstd.ZstdDecompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG})


def _step_zlib(frame: Any, data: bytes) -> bytes:
    return bytes(frame.decompress(frame.unconsumed_tail + data, PIECE_BYTES))


def make_unpacker(encoding: str) -> Unpacker:
    """The unpacker of a Content-Encoding. Raises QueryError on one that is not known."""
    if encoding in ("", "identity"):
        return Identity()
    if encoding == "lz4":
        return Framed(lz4.frame.LZ4FrameDecompressor, _step_lz4)
    if encoding == "gzip":
        return Framed(lambda: zlib.decompressobj(31), _step_zlib)
    if encoding == "deflate":
        return Framed(zlib.decompressobj, _step_zlib)
    if encoding == "zstd":
        return Framed(_open_zstd, _step_zstd)
    raise bad_request(f"Content-Encoding {encoding[:32]} is not available")


PACKERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "lz4": lambda body: bytes(lz4.frame.compress(body)),
    "zstd": lambda body: zstd.compress(body, level=1),
    "gzip": lambda body: gzip.compress(body, compresslevel=1),
    "deflate": lambda body: zlib.compress(body, 1),
}


def pick_packer(accepted: str) -> str:
    """The first encoding of an Accept-Encoding header that is known here, or empty."""
    names = [part.split(";")[0].strip() for part in accepted.split(",")]
    return next((name for name in names if name in PACKERS), "")
