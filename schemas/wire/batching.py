"""Builds the Avro bytes of an EventBatch piece by piece, so that an event is encoded once, when it happens.

The layout follows `EventBatch.v1.avsc`; a test decodes what is built here with the schema. Source: Avro 1.12
specification, "Binary Encoding". Compiled where a C compiler is at hand (deploy/native.py).
"""

import io
from typing import Any, Final

import fastavro
from fastavro.schema import parse_schema
from librt.strings import BytesWriter
from mypy_extensions import u8

from schemas.events import Event, Masked, SessionContext, Verdict
from schemas.wire import framing
from schemas.wire.avro import (
    write_blob,
    write_long,
    write_mapping,
    write_nullable_strings,
    write_strings,
    write_text,
)

_SHAPE: Final = {item["name"]: item["type"] for item in framing.load_avsc("EventBatch")["fields"]}


def _standalone(schema: dict[str, Any], name: str) -> Any:
    """A nested record as a schema of its own, under another namespace: fastavro keeps one global table of names."""
    return parse_schema({**schema, "namespace": f"custody.v1.{name}"})


EVENT_SCHEMA: Final = _standalone(
    next(item for item in _SHAPE["events"]["items"]["fields"] if item["name"] == "event")["type"], "event"
)
_CONTEXT: Final = _standalone(_SHAPE["sessions"]["items"], "context")
_VERDICTS: Final[dict[str, int]] = {verdict.value: index << 1 for index, verdict in enumerate(Verdict)}

NO_TEXTS: Final[list[str]] = []
NO_VALUES: Final[list[str | None]] = []
NO_ATTRIBUTES: Final[dict[str, str]] = {}


def encode_context(context: SessionContext) -> bytes:
    """The Avro bytes of a session context."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, _CONTEXT, framing.to_avro(context))
    return buffer.getvalue()


def encode_event(event: Event) -> bytes:
    """The Avro bytes of an event."""
    return encode_fields(
        event.seq,
        event.at,
        event.kind,
        action_id=event.action_id,
        statement=event.statement,
        fingerprint=event.fingerprint,
        parameters=event.parameters,
        operation=event.operation,
        objects=event.objects,
        verdict=event.verdict,
        status=event.status,
        error=event.error,
        rows=event.rows,
        size=event.bytes,
        duration_us=event.duration_us,
        attributes=event.attributes,
        payload=event.payload,
        payload_type=event.payload_type,
        payload_bytes=event.payload_bytes,
        payload_digest=event.payload_digest,
        is_truncated=event.is_truncated,
        masked=event.masked,
        links=event.links,
        opening=event.opening,
    )


def encode_fields(
    seq: int,
    at: int,
    kind: str,
    *,
    action_id: str,
    statement: str,
    fingerprint: str,
    parameters: list[str | None],
    operation: str,
    objects: list[str],
    verdict: str,
    status: str,
    error: str,
    rows: int,
    size: int,
    duration_us: int,
    attributes: dict[str, str],
    payload: bytes,
    payload_type: str,
    payload_bytes: int,
    payload_digest: bytes,
    is_truncated: bool,
    masked: list[Masked] | None,
    links: dict[str, str],
    opening: bytes,
) -> bytes:
    """The Avro bytes of an event given field by field, as the schema orders them; `size` is its field `bytes`.

    Spelled out, and without an Event in between, because it runs twice for each action of an agent.
    """
    out = BytesWriter()
    write_long(out, seq)
    write_long(out, at)
    write_text(out, kind)
    write_text(out, action_id)
    write_text(out, statement)
    write_text(out, fingerprint)
    write_nullable_strings(out, parameters)
    write_text(out, operation)
    write_strings(out, objects)
    out.append(u8(_VERDICTS[verdict]))
    write_text(out, status)
    write_text(out, error)
    write_long(out, rows)
    write_long(out, size)
    write_long(out, duration_us)
    write_mapping(out, attributes)
    write_blob(out, payload)
    write_text(out, payload_type)
    write_long(out, payload_bytes)
    write_blob(out, payload_digest)
    out.append(1 if is_truncated else 0)
    _write_masked(out, masked)
    write_mapping(out, links)
    write_blob(out, opening)
    return out.getvalue()


def _write_masked(out: BytesWriter, items: list[Masked] | None) -> None:
    if items:
        write_long(out, len(items))
        for item in items:
            write_text(out, item.label)
            write_long(out, item.count)
            write_text(out, item.token)
            write_text(out, item.place)
    out.append(0)


class BatchBuilder:
    """A batch being filled. `size` is in plain bytes, `last_ticket` that of its newest event."""

    def __init__(self) -> None:
        self.size = 0
        self.last_ticket = 0
        self._indices: dict[str, int] = {}
        self._contexts: list[bytes] = []
        self._events = BytesWriter()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, session_id: str, context: bytes, event: bytes) -> None:
        """Append an encoded event of a session with that encoded context."""
        index = self._indices.get(session_id, -1)
        if index < 0:
            index = self._indices[session_id] = len(self._contexts)
            self._contexts.append(context)
            self.size += len(context)
        write_long(self._events, index)
        self._events.write(event)
        self._count += 1
        self.size += len(event) + 2

    def build(self, proxy_id: str, proxy_epoch: str, batch_seq: int) -> bytes:
        """The Avro bytes of the batch, origin null and no rule version."""
        out = BytesWriter()
        out.append(0)
        write_text(out, proxy_id)
        write_text(out, proxy_epoch)
        write_long(out, batch_seq)
        out.append(0)
        if self._count:
            write_long(out, len(self._contexts))
            for context in self._contexts:
                out.write(context)
            out.append(0)
            write_long(out, self._count)
            out.write(self._events.getvalue())
        else:
            out.append(0)
        out.append(0)
        return out.getvalue()
