"""Rows of `events` as Python values, as the store's client takes them, and gives them where bytes are asked for.

Made from the records' own classes, so nothing of what the sink does to build its blocks is in them.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

from schemas.events import Event, EventBatch, SessionContext, SessionEvent
from schemas.wire import framing
from sinks.columns import decode_batch

OPENING_BYTES: Final = 16
COUNTERS: Final = ("seq", "rows", "bytes", "duration_us", "payload_bytes")


def row_values(batches: Sequence[EventBatch]) -> dict[str, list[Any]]:
    """Column -> values, one an event. Texts are bytes, times are µs, records are tuples."""
    rows = [row for batch in batches for row in _rows_of(framing.encode(batch))]
    return {name: [_as_bytes(row[name]) for row in rows] for name in (rows[0] if rows else ())}


def _as_bytes(value: Any) -> Any:
    """The value with all its texts, however deep, as bytes."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict):
        return {_as_bytes(key): _as_bytes(item) for key, item in value.items()}
    return type(value)(map(_as_bytes, value)) if isinstance(value, list | tuple) else value


def _rows_of(data: bytes) -> list[dict[str, Any]]:
    batch = framing.decode(data)
    assert isinstance(batch, EventBatch) and batch.origin is not None
    canonical = decode_batch(data).columns.canonical
    return [
        {
            "log_id": batch.origin.log_id, "partition": batch.origin.partition, "offset": batch.origin.offset,
            "position": position, "proxy_id": batch.proxy_id, "proxy_epoch": batch.proxy_epoch,
            "batch_seq": batch.batch_seq, "rule_version": batch.rule_version,
            **_context_values(batch.sessions[item.session]), **_event_values(item), "canonical": canonical[position],
        }
        for position, item in enumerate(batch.events)
    ]  # fmt: skip


def _context_values(context: SessionContext) -> dict[str, Any]:
    values = {item.name: getattr(context, item.name) for item in fields(context)}
    values["session_attributes"] = values.pop("attributes")
    delegation = [(hop.actor, hop.on_behalf_of) for hop in context.delegation]
    return {**values, "delegation": delegation, "source_port": min(max(context.source_port, 0), 65_535)}


def _event_values(item: SessionEvent) -> dict[str, Any]:
    event: Event = item.event
    return {
        **{field.name: getattr(event, field.name) for field in fields(event)},
        **{name: max(0, getattr(event, name)) for name in COUNTERS},
        "payload_digest": event.payload_digest.hex(),
        "masked": [(found.label, found.count, found.token, found.place) for found in event.masked],
        "opening": event.opening[:OPENING_BYTES].ljust(OPENING_BYTES, b"\x00"),
    }
