"""Avro's binary encoding, spelled out for the hot paths. Source: Avro 1.12 specification, "Binary Encoding".

Compiled where a C compiler is at hand (deploy/native.py): `i64` and BytesWriter are C integers and a C buffer then.
"""

from functools import lru_cache
from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import i64, u8

EMPTY: Final = b"\x00"
"""An empty string, byte string, array or map, zero, and null as the first branch of a union."""

_REST: Final = (1 << 57) - 1


def write_long(out: BytesWriter, value: i64) -> None:
    """Append an int or long: zigzag, then seven bits a byte, the lowest first."""
    left: i64 = (value << 1) ^ (value >> 63)
    while left & ~0x7F != 0:
        out.append(u8(left & 0x7F | 0x80))
        left = (left >> 7) & _REST
    out.append(u8(left))


def write_blob(out: BytesWriter, value: bytes) -> None:
    """Append bytes."""
    write_long(out, len(value))
    out.write(value)


def write_text(out: BytesWriter, value: str) -> None:
    """Append a string."""
    if not value:
        out.append(0)
        return
    data = value.encode()
    write_long(out, len(data))
    out.write(data)


def write_mapping(out: BytesWriter, value: dict[str, str]) -> None:
    """Append a map of strings, in one block."""
    if value:
        write_long(out, len(value))
        for key, item in value.items():
            write_text(out, key)
            write_text(out, item)
    out.append(0)


def write_strings(out: BytesWriter, values: list[str]) -> None:
    """Append an array of strings, in one block."""
    if values:
        write_long(out, len(values))
        for value in values:
            write_text(out, value)
    out.append(0)


def write_nullable_strings(out: BytesWriter, values: list[str | None]) -> None:
    """Append an array of ["null", "string"], in one block."""
    if values:
        write_long(out, len(values))
        for value in values:
            if value is None:
                out.append(0)
            else:
                out.append(2)
                write_text(out, value)
    out.append(0)


def blob(value: bytes) -> bytes:
    """Bytes on their own."""
    out = BytesWriter()
    write_blob(out, value)
    return out.getvalue()


def text(value: str) -> bytes:
    """A string on its own."""
    return blob(value.encode())


def array(items: list[bytes]) -> bytes:
    """An array of encoded items, in one block."""
    out = BytesWriter()
    if items:
        write_long(out, len(items))
        for item in items:
            out.write(item)
    out.append(0)
    return out.getvalue()


word = lru_cache(4096)(text)
"""A string on its own, out of few distinct ones: a kind, a status, the name of an attribute."""


def zigzag(value: int) -> bytes:
    """An int or long on its own."""
    out = BytesWriter()
    write_long(out, value)
    return out.getvalue()
