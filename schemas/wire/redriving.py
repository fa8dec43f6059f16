"""What a redriven dead letter says of itself: Kafka headers beside the sealed bytes, which stay what they were.

Whoever may write to the raw topic may write these headers, so what they say is a claim, and bounded. What counts is the
batch itself: its signature, its number, its seal.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from schemas.errors import RecordError
from schemas.events import Origin

ORIGIN: Final = "custody-redrives"
BY: Final = "custody-redriven-by"
REASON: Final = "redriven"
"""What the `audit.gap` event says that comes with the batch's events."""

MAX_BYTES: Final = 256
# The client library gives a topic's id in base64 with + and /, other clients with - and _.
_ORIGIN: Final = re.compile(r"([A-Za-z0-9+/_-]{1,64})/(\d{1,9})/(\d{1,18})", re.ASCII)
_PERSON: Final = re.compile(r"[\w.+-]{1,64}@[\w.-]{1,128}")


def write_headers(origin: Origin, by: str) -> list[tuple[str, bytes]]:
    """Headers that name the dead letter's origin and who redrives it. Raises RecordError."""
    if not _PERSON.fullmatch(by):
        raise RecordError(f"{by!r} is no name of a person: name@domain")
    return [(ORIGIN, f"{origin.log_id}/{origin.partition}/{origin.offset}".encode()), (BY, by.encode())]


def note_of(headers: Mapping[str, bytes] | Iterable[tuple[str, bytes]] | None) -> dict[str, str] | None:
    """What the record is to say of a redriven batch; None when these are not the headers of one."""
    found = dict(headers or ())
    origin = _ORIGIN.fullmatch(_text_of(found.get(ORIGIN)))
    if origin is None:
        return None
    log_id, partition, offset = origin.groups()
    by = _text_of(found.get(BY))
    return {
        "reason": REASON,
        "detail": f"this batch was the dead letter of raw record {partition}/{offset} of log {log_id}",
        "claimed.by": by if _PERSON.fullmatch(by) else "",
    }


def _text_of(value: bytes | None) -> str:
    return value[:MAX_BYTES].decode("utf-8", "replace") if value else ""
