"""Builds the Avro bytes of an EventBatch piece by piece, so that an event is encoded once, when it happens.

The layout follows `EventBatch.v1.avsc`; a test decodes what is built here with the schema. Source: Avro 1.12
specification, "Binary Encoding".
"""

import io
from dataclasses import dataclass, field
from typing import Any, Final

import fastavro
from fastavro.schema import parse_schema

from schemas.events import Event, Masked, SessionContext, Verdict
from schemas.wire import avro, framing

_SHAPE: Final = {item["name"]: item["type"] for item in framing.load_avsc("EventBatch")["fields"]}


def _standalone(schema: dict[str, Any], name: str) -> Any:
    """A nested record as a schema of its own, under another namespace: fastavro keeps one global table of names."""
    return parse_schema({**schema, "namespace": f"custody.v1.{name}"})


EVENT_SCHEMA: Final = _standalone(
    next(item for item in _SHAPE["events"]["items"]["fields"] if item["name"] == "event")["type"], "event"
)
_CONTEXT: Final = _standalone(_SHAPE["sessions"]["items"], "context")
_VERDICTS: Final[dict[str, bytes]] = {verdict: bytes((index << 1,)) for index, verdict in enumerate(Verdict)}


def _masked(items: list[Masked]) -> bytes:
    return avro.array(
        [
            avro.text(item.label) + avro.zigzag(item.count) + avro.text(item.token) + avro.text(item.place)
            for item in items
        ]
    )


def encode_context(context: SessionContext) -> bytes:
    """The Avro bytes of a session context."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, _CONTEXT, framing.to_avro(context))
    return buffer.getvalue()


def encode_event(event: Event) -> bytes:
    """The Avro bytes of an event, field by field as the schema orders them.

    Spelled out because it runs twice for each action of an agent: about twice as fast as the general writer.
    """
    return b"".join(
        (
            avro.zigzag(event.seq),
            avro.zigzag(event.at),
            avro.word(event.kind),
            avro.text(event.action_id),
            avro.text(event.statement) if event.statement else avro.EMPTY,
            avro.string(event.fingerprint) if event.fingerprint else avro.EMPTY,
            avro.nullable_strings(event.parameters) if event.parameters else avro.EMPTY,
            avro.string(event.operation) if event.operation else avro.EMPTY,
            avro.strings(event.objects) if event.objects else avro.EMPTY,
            _VERDICTS[event.verdict],
            avro.string(event.status) if event.status else avro.EMPTY,
            avro.text(event.error) if event.error else avro.EMPTY,
            avro.zigzag(event.rows) if event.rows else avro.EMPTY,
            avro.zigzag(event.bytes) if event.bytes else avro.EMPTY,
            avro.zigzag(event.duration_us) if event.duration_us else avro.EMPTY,
            avro.mapping(event.attributes),
            avro.blob(event.payload) if event.payload else avro.EMPTY,
            avro.string(event.payload_type) if event.payload_type else avro.EMPTY,
            avro.zigzag(event.payload_bytes) if event.payload_bytes else avro.EMPTY,
            avro.blob(event.payload_digest) if event.payload_digest else avro.EMPTY,
            b"\x01" if event.is_truncated else avro.EMPTY,
            _masked(event.masked) if event.masked else avro.EMPTY,
            avro.mapping(event.links) if event.links else avro.EMPTY,
            avro.blob(event.opening),
        )
    )


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
        self._events.append(avro.zigzag(index) + event)
        self.size += len(event) + 2

    def build(self, proxy_id: str, proxy_epoch: str, batch_seq: int) -> bytes:
        """The Avro bytes of the batch, origin null and no rule version."""
        return b"".join(
            (
                b"\x00",
                avro.text(proxy_id),
                avro.text(proxy_epoch),
                avro.zigzag(batch_seq),
                b"\x00",
                avro.array(self._contexts),
                avro.array(self._events),
            )
        )
