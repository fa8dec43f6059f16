"""Runs of fields as they are encoded in an EventBatch, skipped or read; columns.py says why they are kept so. Pure."""

from dataclasses import dataclass
from typing import Any

from schemas.errors import RecordError
from schemas.wire.skips import content_of, read_count, read_long, skip_long, skip_text


def read_context(b: bytes, p: int) -> tuple[dict[str, Any], int]:
    """A context's fields and the position after it. Raises RecordError, IndexError."""
    context: dict[str, Any] = {}
    for name in ("session_id", "principal", "agent"):
        context[name], p = read_text(b, p)
    hops, p = read_texts(b, p, 2)
    context["delegation"] = [{"actor": a, "on_behalf_of": o} for a, o in zip(hops[::2], hops[1::2], strict=True)]
    for name in ("run_id", "resource", "protocol", "source_ip"):
        context[name], p = read_text(b, p)
    context["source_port"], p = read_long(b, p)
    for name in ("client", "tls", "upstream"):
        context[name], p = read_text(b, p)
    context["opened_at"], p = read_long(b, p)
    for name in ("credential_id", "retention_class"):
        context[name], p = read_text(b, p)
    pairs, p = read_texts(b, p, 2)
    context["attributes"] = dict(zip(pairs[::2], pairs[1::2], strict=True))
    return context, p


@dataclass(frozen=True, slots=True)
class Shape:
    """What a shape holds."""

    fingerprint: bytes
    parameters: list[bytes | None]
    operation: bytes
    objects: list[bytes]


def read_shape(region: bytes) -> Shape:
    """Fingerprint, parameters, operation and objects."""
    fingerprint, p = read_text(region, 0)
    parameters: list[bytes | None] = []
    while True:
        count, p = read_count(region, p)
        if count == 0:
            break
        for _ in range(count):
            branch = region[p]
            p += 1
            value: bytes | None = None
            if branch:
                value, p = read_text(region, p)
            parameters.append(value)
    operation, p = read_text(region, p)
    return Shape(fingerprint, parameters, operation, read_texts(region, p)[0])


def read_outcome(region: bytes) -> tuple[bytes, bytes]:
    """Status and error."""
    status, p = read_text(region, 0)
    return status, read_text(region, p)[0]


def read_map(region: bytes) -> dict[bytes, bytes]:
    """Attributes or links."""
    pairs = read_texts(region, 0, 2)[0]
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


def read_masked(region: bytes) -> list[tuple[bytes, int, bytes, bytes]]:
    """(label, count, token, place) of what was masked."""
    masked: list[tuple[bytes, int, bytes, bytes]] = []
    p = 0
    while True:
        n, p = read_count(region, p)
        if n == 0:
            return masked
        for _ in range(n):
            label, p = read_text(region, p)
            count, p = read_long(region, p)
            token, p = read_text(region, p)
            place, p = read_text(region, p)
            masked.append((label, count, token, place))


def read_text(b: bytes, p: int) -> tuple[bytes, int]:
    """The content of a string and the position after it. Raises RecordError, IndexError."""
    end = skip_text(b, p)
    if end > len(b):
        raise RecordError("a truncated batch")
    return content_of(b, p, end), end


def read_texts(b: bytes, p: int, each: int = 1) -> tuple[list[bytes], int]:
    """The strings of an array whose items are `each` strings, and the position after it. Raises as above."""
    texts: list[bytes] = []
    while True:
        count, p = read_count(b, p)
        if count == 0:
            return texts, p
        for _ in range(count * each):
            text, p = read_text(b, p)
            texts.append(text)


def skip_masked(b: bytes, p: int) -> int:
    """The position after what lists the masked values. Raises RecordError, IndexError."""
    while True:
        n, p = read_count(b, p)
        if n == 0:
            return p
        for _ in range(n):
            p = skip_text(b, skip_text(b, skip_long(b, skip_text(b, p))))


def read_origin(b: bytes, p: int) -> tuple[tuple[str, int, int] | None, int]:
    """(log id, partition, offset) of a batch's origin, None without one, and the position after it. Raises as above."""
    branch = b[p]
    if branch == 0:
        return None, p + 1
    if branch != 2:
        raise RecordError("an unknown union branch")
    log_id, p = read_text(b, p + 1)
    partition, p = read_long(b, p)
    offset, p = read_long(b, p)
    return (log_id.decode(), partition, offset), p
