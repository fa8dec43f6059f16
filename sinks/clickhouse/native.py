"""ClickHouse's Native format: a block is its columns, each written in one piece. Pure.

Strings go in with their lengths (LEB128), arrays and maps as ends and flat contents, a dictionary column as its
keys and one index a row. Source: ClickHouse documentation, "Native format"; `SerializationLowCardinality.cpp`.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

_SHORT: Final = 1 << 14
_LC_VERSION: Final = (1).to_bytes(8, "little")
_LC_FLAGS: Final = (1 << 9) | (1 << 10)  # keys of its own, and a new dictionary
_INDEX_CODES: Final = "BHI"


def leb128(value: int) -> bytes:
    """An unsigned number of variable length."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


class _Lengths(dict[int, bytes]):
    def __missing__(self, value: int) -> bytes:
        return leb128(value)


LENGTHS: Final = _Lengths((value, leb128(value)) for value in range(_SHORT))
"""Length of a string -> what goes before it."""


def encode_strings(values: Iterable[bytes]) -> bytes:
    """Strings, each with its length before it."""
    values = values if isinstance(values, Sequence) else list(values)
    return b"".join(chain.from_iterable(zip(map(LENGTHS.__getitem__, map(len, values)), values, strict=True)))


def encode_numbers(code: str, values: Iterable[int]) -> bytes:
    """Numbers of a width and sign as `array` names them: B, H, I, Q, q."""
    return array(code, values).tobytes()


def encode_ends(counts: Iterable[int]) -> bytes:
    """Where each row's items end."""
    ends = array("Q")
    end = 0
    for count in counts:
        end += count
        ends.append(end)
    return ends.tobytes()


def encode_dictionary(keys: Sequence[bytes], rows: int, index: bytes) -> bytes:
    """A LowCardinality column: its different values, and one number of them a row (of the width of `index_code`)."""
    if not rows:
        return _LC_VERSION
    flags = _LC_FLAGS | _INDEX_CODES.index(index_code(len(keys)))
    return b"".join(
        (
            _LC_VERSION, flags.to_bytes(8, "little"), len(keys).to_bytes(8, "little"), encode_strings(keys),
            rows.to_bytes(8, "little"), index,
        )
    )  # fmt: skip


def index_code(keys: int) -> str:
    """The width of numbers of that many keys."""
    return "B" if keys <= 1 << 8 else "H" if keys <= 1 << 16 else "I"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a block: `data` is its binary form in the type, whole or in pieces that follow each other."""

    name: str
    type: str
    data: bytes | Sequence[bytes]


def encode_block(columns: Sequence[Column], rows: int) -> bytes:
    """A block of columns."""
    parts: list[Any] = [leb128(len(columns)), leb128(rows)]
    for column in columns:
        for text in (column.name.encode(), column.type.encode()):
            parts += (leb128(len(text)), text)
        if isinstance(column.data, bytes):
            parts.append(column.data)
        else:
            parts += column.data
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Block:
    """What an INSERT sends: the names of its columns, and the block."""

    names: tuple[str, ...]
    data: bytes


def make_block(columns: Sequence[Column], rows: int) -> Block:
    """A block with its names."""
    return Block(tuple(column.name for column in columns), encode_block(columns, rows))
