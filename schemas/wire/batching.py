"""Builds the Avro bytes of an EventBatch piece by piece, so that an event is encoded once, when it happens.

The layout follows `EventBatch.v1.avsc`; a test decodes what is built here with the schema. Source: Avro 1.12
specification, "Binary Encoding".
"""

import io
from dataclasses import dataclass, field
from typing import Any, Final

import fastavro
from fastavro.schema import parse_schema

from schemas.events import Event, SessionContext
from schemas.wire import framing

_SHAPE: Final = {item["name"]: item["type"] for item in framing.load_avsc("EventBatch")["fields"]}


def _standalone(schema: dict[str, Any], name: str) -> Any:
    """A nested record as a schema of its own, under another namespace: fastavro keeps one global table of names."""
    return parse_schema({**schema, "namespace": f"custody.v1.{name}"})


_CONTEXT: Final = _standalone(_SHAPE["sessions"]["items"], "context")
_EVENT: Final = _standalone(
    next(item for item in _SHAPE["events"]["items"]["fields"] if item["name"] == "event")["type"], "event"
)


def zigzag(value: int) -> bytes:
    """An Avro int or long."""
    value = (value << 1) ^ (value >> 63)
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(value: str) -> bytes:
    """An Avro string."""
    data = value.encode()
    return zigzag(len(data)) + data


def encode_context(context: SessionContext) -> bytes:
    """The Avro bytes of a session context."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, _CONTEXT, framing.to_avro(context))
    return buffer.getvalue()


def encode_event(event: Event) -> bytes:
    """The Avro bytes of an event."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, _EVENT, framing.event_fields(event))
    return buffer.getvalue()


def _array(items: list[bytes]) -> bytes:
    if not items:
        return b"\x00"
    return b"".join((zigzag(len(items)), *items, b"\x00"))


@dataclass(slots=True)
class BatchBuilder:
    """A batch being filled. `size` is in plain bytes."""

    size: int = 0
    _indices: dict[str, int] = field(default_factory=dict)
    _contexts: list[bytes] = field(default_factory=list)
    _events: list[bytes] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._events)

    def add(self, session_id: str, context: bytes, event: bytes) -> None:
        """Append an encoded event of a session with that encoded context."""
        index = self._indices.get(session_id)
        if index is None:
            index = self._indices[session_id] = len(self._contexts)
            self._contexts.append(context)
            self.size += len(context)
        self._events.append(zigzag(index) + event)
        self.size += len(event) + 2

    def build(self, proxy_id: str, proxy_epoch: str, batch_seq: int) -> bytes:
        """The Avro bytes of the batch, origin null and no rule version."""
        return b"".join(
            (
                b"\x00",
                text(proxy_id),
                text(proxy_epoch),
                zigzag(batch_seq),
                b"\x00",
                _array(self._contexts),
                _array(self._events),
            )
        )
