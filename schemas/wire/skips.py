"""Steps over Avro values without reading them: bytes and a position in, the next position out. Pure, for hot paths.

Positions may run past the end of hostile bytes: an IndexError, or a last position that the caller has to check. Counts
and lengths are bounded by what the bytes can hold. Source: Avro 1.12 specification, "Binary Encoding".
"""

from typing import Final

from schemas.errors import RecordError

STEPS: Final = tuple(0 if byte & 0x81 else 1 + (byte >> 1) for byte in range(256))
"""First byte of a string -> its size with that byte; 0 where the length takes more bytes, or is negative."""
_MAX_VARINT: Final = 10


def read_long(b: bytes, p: int) -> tuple[int, int]:
    """A number of at most 64 bits and the position after it. Raises RecordError, IndexError."""
    n = shift = 0
    while True:
        byte = b[p]
        p += 1
        n |= (byte & 127) << shift
        if byte < 128:
            return (n >> 1) ^ -(n & 1), p
        shift += 7
        if shift > 63:
            raise RecordError("a number longer than 64 bits")


def skip_long(b: bytes, p: int) -> int:
    """The position after a number. Raises RecordError, IndexError."""
    end = p + _MAX_VARINT
    while b[p] > 127:
        p += 1
        if p == end:
            raise RecordError("a number longer than 64 bits")
    return p + 1


def skip_text(b: bytes, p: int) -> int:
    """The position after a string or bytes. Raises RecordError, IndexError."""
    n = b[p]
    if not n & 1:
        if n < 128:
            return p + 1 + (n >> 1)
        if (m := b[p + 1]) < 128:
            return p + 2 + ((n & 127 | m << 7) >> 1)
    n, p = read_long(b, p)
    if n < 0:
        raise RecordError("a negative length")
    return p + n


def content_of(b: bytes, p: int, end: int) -> bytes:
    """The content of the string or bytes that stand between two positions."""
    if b[p] < 128:
        return b[p + 1 : end]
    if b[p + 1] < 128:
        return b[p + 2 : end]
    return b[read_long(b, p)[1] : end]


def skip_texts(b: bytes, p: int, each: int = 1) -> int:
    """The position after an array whose items are `each` strings: 2 for a map of strings. Raises as above."""
    while True:
        n = b[p]
        if n & 0x81:
            n, p = read_count(b, p)
        else:
            n >>= 1
            p += 1
        if n == 0:
            return p
        for _ in range(n * each):
            step = STEPS[b[p]]
            p = p + step if step else skip_text(b, p)


def skip_context(b: bytes, p: int) -> int:
    """The position after a session context. Raises RecordError, IndexError."""
    p = skip_text(b, skip_text(b, skip_text(b, p)))  # session_id, principal, agent
    p = skip_texts(b, p, 2)  # delegation
    p = skip_text(b, skip_text(b, skip_text(b, skip_text(b, p))))  # run_id, resource, protocol, source_ip
    p = skip_long(b, p)  # source_port
    p = skip_text(b, skip_text(b, skip_text(b, p)))  # client, tls, upstream
    p = skip_long(b, p)  # opened_at
    return skip_texts(b, skip_text(b, skip_text(b, p)), 2)  # credential_id, retention_class, attributes


def skip_parameters(b: bytes, p: int) -> int:
    """The position after an array of ["null", "string"]. Raises as above."""
    while True:
        n, p = read_count(b, p)
        if n == 0:
            return p
        for _ in range(n):
            branch = b[p]
            p += 1
            if branch == 2:
                p = skip_text(b, p)
            elif branch:
                raise RecordError("an unknown union branch")


def read_parameters(b: bytes, p: int) -> tuple[list[bytes], int]:
    """The strings of an array of ["null", "string"], and the position after it. Raises as above."""
    contents: list[bytes] = []
    while True:
        n, p = read_count(b, p)
        if n == 0:
            return contents, p
        for _ in range(n):
            p += 1
            if b[p - 1]:
                start, p = p, skip_text(b, p)
                contents.append(content_of(b, start, p))


def read_count(b: bytes, p: int) -> tuple[int, int]:
    """How many items a block has. Each has a byte at least, so a count says nothing that the bytes do not hold."""
    n, p = read_long(b, p)
    if n < 0:
        _, p = read_long(b, p)
        n = -n
    if n > len(b) - p:
        raise RecordError("a count beyond the end")
    return n, p
