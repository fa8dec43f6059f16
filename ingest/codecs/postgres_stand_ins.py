"""What stands for a masked value of a PostgreSQL type that has no room for a token: its zero, as text and in binary."""

from struct import error as StructError
from struct import pack, unpack_from
from typing import Final

_ZEROS: Final[dict[int, tuple[bytes, bytes]]] = {
    16: (b"f", b"\0"),
    17: (b"\\x", b""),
    18: (b"*", b"*"),
    20: (b"0", bytes(8)),
    21: (b"0", bytes(2)),
    23: (b"0", bytes(4)),
    26: (b"0", bytes(4)),
    27: (b"(0,0)", bytes(6)),
    28: (b"0", bytes(4)),
    29: (b"0", bytes(4)),
    650: (b"0.0.0.0/32", b"\x02\x20\x01\x04" + bytes(4)),
    700: (b"0", bytes(4)),
    701: (b"0", bytes(8)),
    774: (b"00:00:00:00:00:00:00:00", bytes(8)),
    829: (b"00:00:00:00:00:00", bytes(6)),
    869: (b"0.0.0.0", b"\x02\x20\x00\x04" + bytes(4)),
    1082: (b"2000-01-01", bytes(4)),
    1083: (b"00:00:00", bytes(8)),
    1114: (b"2000-01-01 00:00:00", bytes(8)),
    1184: (b"2000-01-01 00:00:00+00", bytes(8)),
    1186: (b"00:00:00", bytes(16)),
    1266: (b"00:00:00+00", bytes(12)),
    1560: (b"0", b"\0\0\0\x01\0"),
    1562: (b"", bytes(4)),
    1700: (b"0", bytes(8)),
    2950: (b"00000000-0000-0000-0000-000000000000", bytes(16)),
    3220: (b"0/0", bytes(8)),
    5069: (b"0", bytes(8)),
}

NUMBERS: Final = frozenset((20, 21, 23, 26, 28, 29, 700, 701, 1700, 5069))
"""Types of which a value is a secret as a whole or not at all: part of their digits means nothing."""


def stand_in(oid: int, raw: bytes, *, is_binary: bool, is_array: bool) -> bytes | None:
    """The bytes of a type's zero; None (NULL) for a type that has none. `raw` is the value that it stands for."""
    if is_array:
        if not is_binary:
            return b"{}"
        try:
            return pack("!iiI", 0, 0, unpack_from("!I", raw, 8)[0])
        except StructError:
            return None
    zero = _ZEROS.get(oid)
    return None if zero is None else zero[is_binary]
