"""Avro's binary encoding, spelled out for the hot paths. Source: Avro 1.12 specification, "Binary Encoding"."""

from functools import lru_cache
from typing import Final

EMPTY: Final = b"\x00"
"""An empty string, byte string, array or map, zero, and null as the first branch of a union."""

_SHORT: Final = [bytes((n,)) for n in range(0x80)] + [bytes((n & 0x7F | 0x80, n >> 7)) for n in range(0x80, 0x4000)]
"""Every variable-length number of one and two bytes."""
_MORE: Final = [bytes((n & 0x7F | 0x80, n >> 7 | 0x80)) for n in range(0x4000)]
"""The same numbers when more bytes follow."""


def zigzag(value: int) -> bytes:
    """An Avro int or long."""
    value = (value << 1) ^ (value >> 63)
    if value < 0x4000:
        return _SHORT[value]
    out = b""
    while value >= 0x4000:
        out += _MORE[value & 0x3FFF]
        value >>= 14
    return out + _SHORT[value]


def text(value: str) -> bytes:
    """An Avro string."""
    data = value.encode()
    return zigzag(len(data)) + data


word = lru_cache(4096)(text)
"""An Avro string out of few distinct ones: a kind, a status, the name of an attribute."""


def string(value: str) -> bytes:
    """An Avro string that is often empty, or short and often the same."""
    if not value:
        return EMPTY
    return word(value) if len(value) < 40 else text(value)


def blob(value: bytes) -> bytes:
    """Avro bytes."""
    return zigzag(len(value)) + value if value else EMPTY


def mapping(value: dict[str, str]) -> bytes:
    """An Avro map of strings."""
    if not value:
        return EMPTY
    pairs = [word(key) + string(item) for key, item in value.items()]
    return zigzag(len(pairs)) + b"".join(pairs) + EMPTY


def strings(values: list[str]) -> bytes:
    """An Avro array of strings."""
    return array([string(value) for value in values])


def nullable_strings(values: list[str | None]) -> bytes:
    """An Avro array of ["null", "string"]."""
    return array([EMPTY if value is None else b"\x02" + text(value) for value in values])


def array(items: list[bytes]) -> bytes:
    """An array of encoded items, in one block."""
    if not items:
        return EMPTY
    return b"".join((zigzag(len(items)), *items, EMPTY))
