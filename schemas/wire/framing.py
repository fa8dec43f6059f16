"""How a record becomes bytes on Kafka and back.

Single-object encoding (C3 01, CRC-64-AVRO fingerprint, body) by default; Confluent framing (00, 4-byte big-endian id,
body) when a schema registry is in use (`use_registry`). Readers tell them apart by the first byte. Sources: Avro 1.12
specification, "Single-object encoding"; Confluent "Wire format".
"""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Final, Protocol

import fastavro
from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form
from librt.strings import BytesWriter

from schemas import events
from schemas.errors import RecordError
from schemas.wire import avro

SINGLE_OBJECT: Final = b"\xc3\x01"
CONFLUENT: Final = 0
CURRENT: Final[Mapping[str, int]] = {
    "EventBatch": 1,
    "SealedBatch": 1,
    "DeadLetter": 1,
    "FactBatch": 1,
    "SightingBatch": 1,
    "FactBundle": 1,
    "Detection": 1,
    "LineageEdge": 1,
    "Progress": 1,
    "RetentionAction": 1,
    "Control": 1,
    "StoredEvent": 1,
}
"""The version of each record that is written; every version in avsc/ is read."""


class Registry(Protocol):
    """What Confluent framing needs of a schema registry."""

    def id_of(self, record: str, schema_json: str) -> int:
        """Register (or find) the schema under the record's subject. Raises Unreachable, RecordError."""

    def schema_of(self, schema_id: int) -> str:
        """The schema JSON of an id. Raises Unreachable; RecordError when the registry knows no such id."""


class _Default:
    """What this process frames with when a call names no registry, and the prefixes that follow from it."""

    registry: Registry | None = None
    prefixes: Final[dict[str, bytes]] = {}


def use_registry(registry: Registry | None) -> None:
    """From now on this process writes Confluent framing with this registry's ids (None: single-object encoding).

    Asks the registry nothing; `schemas/wire/startup.py` does, once, before anything is written.
    """
    _Default.registry = registry
    _Default.prefixes.clear()


def load_avsc(record: str, version: int | None = None) -> dict[str, Any]:
    """The schema document of a record, as JSON data."""
    name = f"{record}.v{version or CURRENT[record]}.avsc"
    document: dict[str, Any] = json.loads(resources.files("schemas").joinpath("avsc", name).read_text("utf-8"))
    return document


def versions_of(record: str) -> list[int]:
    """Every version of a record in the repository, rising."""
    names = (entry.name for entry in resources.files("schemas").joinpath("avsc").iterdir())
    return sorted(int(name.split(".")[1][1:]) for name in names if name.startswith(record + ".v"))


def schema_fingerprint(document: dict[str, Any]) -> bytes:
    """CRC-64-AVRO of the parsing canonical form, 8 bytes little-endian as single-object encoding wants it."""
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(document), "CRC-64-AVRO"))


class _Schema:
    """One parsed version of a record."""

    def __init__(self, record: str, version: int) -> None:
        document = load_avsc(record, version)
        self.record = record
        self.version = version
        self.document = document
        self.parsed = parse_schema(document)
        self.fingerprint = schema_fingerprint(document)


_KNOWN: Final = {
    schema.fingerprint: schema
    for record in CURRENT
    for version in versions_of(record)
    for schema in [_Schema(record, version)]
}
_WRITTEN: Final = {schema.record: schema for schema in _KNOWN.values() if schema.version == CURRENT[schema.record]}


def to_avro(value: Any) -> Any:
    """A record as the Avro writer takes it: nested dataclasses become their own field dicts."""
    if is_dataclass(value):
        return {name: to_avro(item) for name, item in vars(value).items()}
    if isinstance(value, list):
        return [to_avro(item) for item in value] if value and is_dataclass(value[0]) else value
    return value


def event_fields(event: events.Event) -> dict[str, Any]:
    """An event as the Avro writer takes it; its own `__dict__` unless something was masked."""
    if not event.masked:
        return event.__dict__
    return {**event.__dict__, "masked": [item.__dict__ for item in event.masked]}


def batch_fields(batch: events.EventBatch) -> dict[str, Any]:
    """A batch as the Avro writer takes it: the hot path, so the walk of `to_avro` is spelled out."""
    return {
        **batch.__dict__,
        "origin": batch.origin.__dict__ if batch.origin else None,
        "sessions": [to_avro(session) for session in batch.sessions],
        "events": [{"session": item.session, "event": event_fields(item.event)} for item in batch.events],
    }


def encode_body(record: str, value: Mapping[str, Any]) -> bytes:
    """The bare Avro binary of a record."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, _WRITTEN[record].parsed, value)
    return buffer.getvalue()


def prefix_of(record: str, registry: Registry | None = None) -> bytes:
    """The framing that goes before the body of a record. Raises what the registry raises, at the first call."""
    if registry is not None:
        return _make_prefix(record, registry)
    known = _Default.prefixes.get(record)
    if known is None:
        known = _Default.prefixes[record] = _make_prefix(record, _Default.registry)
    return known


def _make_prefix(record: str, registry: Registry | None) -> bytes:
    schema = _WRITTEN[record]
    if registry is None:
        return SINGLE_OBJECT + schema.fingerprint
    return b"\x00" + registry.id_of(record, json.dumps(schema.document)).to_bytes(4, "big")


def encode(value: events.Record, registry: Registry | None = None) -> bytes:
    """A framed record."""
    record = type(value).__name__
    fields_ = batch_fields(value) if isinstance(value, events.EventBatch) else to_avro(value)
    return prefix_of(record, registry) + encode_body(record, fields_)


def decode_fields(data: bytes, registry: Registry | None = None) -> tuple[str, dict[str, Any]]:
    """The record's name and its fields, resolved to the current version.

    Raises RecordError for anything that is not a whole, known record, Unreachable when the registry has to be asked
    about it and does not answer.
    """
    schema, start = _schema_of(data, registry)
    buffer = io.BytesIO(data)
    buffer.seek(start)
    value = _read(schema, buffer)
    if buffer.tell() != len(data):
        raise RecordError(f"{len(data) - buffer.tell()} bytes after the end of {schema.record}")
    return schema.record, value


def decode_body(record: str, body: bytes) -> dict[str, Any]:
    """The fields of a bare Avro body of the current version."""
    buffer = io.BytesIO(body)
    value = _read(_WRITTEN[record], buffer)
    if buffer.tell() != len(body):
        raise RecordError(f"{len(body) - buffer.tell()} bytes after the end of {record}")
    return value


def decode(data: bytes, registry: Registry | None = None) -> events.Record:
    """The record as its dataclass. Raises RecordError, Unreachable (see `decode_fields`)."""
    record, values = decode_fields(data, registry)
    built: events.Record = BUILDERS[record](values)
    return built


def _read(schema: _Schema, buffer: io.BytesIO) -> dict[str, Any]:
    current = _WRITTEN[schema.record]
    reader = None if schema is current else current.parsed
    try:
        value: dict[str, Any] = fastavro.schemaless_reader(buffer, schema.parsed, reader)
    # Hostile bytes make the reader raise almost anything (EOFError, ValueError, IndexError, MemoryError …).
    except Exception as error:
        raise RecordError(f"not a {schema.record}: {type(error).__name__}") from None
    return value


def find_body(data: bytes, registry: Registry | None = None) -> tuple[str, bytes, int]:
    """The record's name, its schema's fingerprint, and where the body starts. Raises RecordError, Unreachable."""
    schema, start = _schema_of(data, registry)
    return schema.record, schema.fingerprint, start


def unknown_name(data: bytes) -> str:
    """The full name of the registry's schema that a record names and this version does not know; else empty."""
    registry = _Default.registry
    if registry is None or len(data) < 6 or data[0] != CONFLUENT:
        return ""
    try:
        text = registry.schema_of(int.from_bytes(data[1:5], "big"))
        if _fingerprint_of(text) in _KNOWN:
            return ""
        document = json.loads(text)
        return f"{document['namespace']}.{document['name']}"
    except (RecordError, TypeError, KeyError, *_NO_SCHEMA):
        return ""


def current_fingerprint(record: str) -> bytes:
    """The fingerprint of the version that is written."""
    return _WRITTEN[record].fingerprint


def _schema_of(data: bytes, registry: Registry | None) -> tuple[_Schema, int]:
    if data[:2] == SINGLE_OBJECT:
        schema = _KNOWN.get(bytes(data[2:10]))
        if schema is None:
            raise RecordError(f"unknown schema fingerprint {bytes(data[2:10]).hex()}")
        return schema, 10
    if len(data) > 5 and data[0] == CONFLUENT:
        registry = registry or _Default.registry
        if registry is None:
            raise RecordError("Confluent framing, but no schema registry is configured")
        schema = _KNOWN.get(_registered(registry, int.from_bytes(data[1:5], "big")))
        if schema is None:
            raise RecordError("the registry's schema is none that this version knows")
        return schema, 5
    raise RecordError("neither single-object nor Confluent framing")


def _registered(registry: Registry, schema_id: int) -> bytes:
    text = registry.schema_of(schema_id)
    try:
        return _fingerprint_of(text)
    except _NO_SCHEMA as error:
        raise RecordError(f"schema {schema_id} of the registry is no Avro schema: {type(error).__name__}") from None


_NO_SCHEMA: Final = (ValueError, RecursionError, fastavro.schema.SchemaParseException, fastavro.schema.UnknownType)


@lru_cache(maxsize=64)
def _fingerprint_of(schema_json: str) -> bytes:
    return schema_fingerprint(json.loads(schema_json))


def _origin(values: dict[str, Any] | None) -> events.Origin | None:
    return events.Origin(**values) if values else None


def _batch(values: dict[str, Any]) -> events.EventBatch:
    return events.EventBatch(
        **{
            **values,
            "origin": _origin(values["origin"]),
            "sessions": [events.session_from(item) for item in values["sessions"]],
            "events": [
                events.SessionEvent(item["session"], events.event_from(item["event"])) for item in values["events"]
            ],
        }
    )


def _sealed(values: dict[str, Any]) -> events.SealedBatch:
    header = {**values["header"], "redrives": _origin(values["header"]["redrives"])}
    return events.SealedBatch(events.SealedHeader(**header), values["ciphertext"], values["signature"])


def _with_origin(kind: type[Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda values: kind(**{**values, "origin": events.Origin(**values["origin"])})


def _facts(values: dict[str, Any]) -> events.FactBatch:
    return events.FactBatch(
        **{
            **values,
            "origin": events.Origin(**values["origin"]),
            "facts": [events.Fact(**item) for item in values["facts"]],
        }
    )


def _sightings(values: dict[str, Any]) -> events.SightingBatch:
    found = [
        events.Sighting(**{**item, "values": [events.FlowValue(**value) for value in item["values"]]})
        for item in values["sightings"]
    ]
    return events.SightingBatch(events.Origin(**values["origin"]), values["bucket"], found)


def _stored(values: dict[str, Any]) -> events.StoredEvent:
    return events.StoredEvent(
        values["schema_fingerprint"],
        events.session_from(values["session"]),
        events.event_from(values["event"]),
    )


BUILDERS: Final[Mapping[str, Callable[[dict[str, Any]], Any]]] = {
    "EventBatch": _batch,
    "SealedBatch": _sealed,
    "DeadLetter": _with_origin(events.DeadLetter),
    "FactBatch": _facts,
    "SightingBatch": _sightings,
    "FactBundle": lambda values: events.FactBundle(**values),
    "Detection": _with_origin(events.Detection),
    "LineageEdge": _with_origin(events.LineageEdge),
    "Progress": lambda values: events.Progress(**values),
    "RetentionAction": lambda values: events.RetentionAction(**values),
    "Control": lambda values: events.Control(**values),
    "StoredEvent": _stored,
}


def encode_header(header: events.SealedHeader) -> bytes:
    """The bare Avro binary of a sealed batch's header: its associated data. Spelled out: each batch is waited for."""
    out = BytesWriter()
    avro.write_text(out, header.proxy_id)
    avro.write_text(out, header.proxy_epoch)
    avro.write_long(out, header.partition)
    avro.write_long(out, header.batch_seq)
    avro.write_long(out, header.created_at)
    avro.write_text(out, header.key_id)
    avro.write_blob(out, header.wrapped_key)
    origin = header.redrives
    avro.write_long(out, origin is not None)
    if origin is not None:
        avro.write_text(out, origin.log_id)
        avro.write_long(out, origin.partition)
        avro.write_long(out, origin.offset)
    return out.getvalue()
