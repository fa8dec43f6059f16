"""Where the hashes and entries of a log lie: c2sp.org/tlog-tiles paths and bytes. Pure.

A tile of level L holds up to 256 hashes, each the root over 256^L leaves. An entry bundle holds up to 256 entries, each
after its length in two bytes. What is not full lies beside, under its width.
"""

import struct
from typing import Final

from schemas.errors import ProofError
from sinks.transparency.merkle import HASH_BYTES

WIDTH: Final = 256
CHECKPOINT: Final = "checkpoint"
MAX_ENTRY_BYTES: Final = 65_535
MAX_BUNDLE_BYTES: Final = WIDTH * (2 + MAX_ENTRY_BYTES)
_LENGTH: Final = struct.Struct(">H")


def format_number(number: int) -> str:
    """A tile's number as path: groups of three digits, an x before all but the last."""
    groups = []
    while True:
        number, group = divmod(number, 1000)
        groups.append(f"{group:03d}")
        if number == 0:
            return "/".join([f"x{group}" for group in groups[:0:-1]] + [groups[0]])


def tile_path(level: int, number: int, width: int = WIDTH) -> str:
    """The path of a hash tile; `width` below 256 names a partial one."""
    return _with_width(f"tile/{level}/{format_number(number)}", width)


def bundle_path(number: int, width: int = WIDTH) -> str:
    """The path of an entry bundle."""
    return _with_width(f"tile/entries/{format_number(number)}", width)


def _with_width(path: str, width: int) -> str:
    return path if width == WIDTH else f"{path}.p/{width}"


def tile_width(level: int, number: int, size: int) -> int:
    """How many hashes a tile has in a tree of `size` leaves; 0 when it does not exist."""
    return max(0, min(WIDTH, (size >> (8 * level)) - number * WIDTH))


def split_tile(data: bytes, width: int) -> list[bytes]:
    """The hashes of a tile. Raises ProofError when it has not exactly `width`."""
    if len(data) != width * HASH_BYTES:
        raise ProofError(f"a tile of {len(data)} bytes, not {width * HASH_BYTES}")
    return [data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)]


def frame_entry(entry: bytes) -> bytes:
    """An entry as it lies in a bundle. Raises ProofError when it is too long."""
    if len(entry) > MAX_ENTRY_BYTES:
        raise ProofError(f"an entry of {len(entry)} bytes; at most {MAX_ENTRY_BYTES} fit")
    return _LENGTH.pack(len(entry)) + entry


def split_bundle(data: bytes, width: int) -> list[bytes]:
    """The entries of a bundle, or of any run of them. Raises ProofError when there are not exactly `width`."""
    entries: list[bytes] = []
    position, end = 0, len(data)
    while position < end and len(entries) < width:
        start = position + 2
        position = start + (data[position] << 8 | data[position + 1] if start <= end else MAX_BUNDLE_BYTES)
        entries.append(data[start:position])
    if position != end or len(entries) != width:
        raise ProofError(f"a bundle that does not hold {width} entries")
    return entries
