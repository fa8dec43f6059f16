"""Which (retention class, day) slices a sessions batch touches, from its header if it has one. Pure.

Mask has the events decoded anyway, so it says in a Kafka header what retention has to know; reading that costs a
hundredth of decoding the batch. A batch without the header is decoded.
"""

from collections.abc import Mapping, Set
from typing import Any, Final

from processors.retention.calendar import DAY_US, Slice, day_of
from schemas.errors import RecordError
from schemas.wire import framing

HEADER: Final = "custody-slices"


def slices_of(batch: Mapping[str, Any]) -> set[Slice]:
    """The slices of a batch's decoded fields."""
    sessions = batch["sessions"]
    days = {(item["session"], item["event"]["at"] // DAY_US) for item in batch["events"]}
    return {Slice(sessions[session]["retention_class"], day_of(day * DAY_US)) for session, day in days}


def to_header(slices: Set[Slice]) -> bytes:
    """`class/day` lines."""
    return "\n".join(f"{item.retention_class}/{item.day}" for item in sorted(slices)).encode()


def from_header(value: bytes) -> set[Slice]:
    """What `to_header` was given. Raises RecordError."""
    try:
        pairs = [line.rpartition("/") for line in value.decode().split("\n") if line]
    except UnicodeDecodeError:
        raise RecordError("the slices header is not text") from None
    return {Slice(name, day) for name, _, day in pairs}


def read_slices(value: bytes, headers: Mapping[str, bytes]) -> set[Slice]:
    """The slices of a sessions record. Raises RecordError."""
    header = headers.get(HEADER)
    if header is not None:
        return from_header(header)
    record, batch = framing.decode_fields(value)
    if record != "EventBatch":
        raise RecordError(f"a {record} on the sessions topic")
    return slices_of(batch)
