"""Reads Avro's binary encoding by a schema, with nothing but the standard library. Pure.

For readers of evidence, who may not have an Avro library: slow, and strict. Source: Avro 1.12, "Binary Encoding".
"""

from typing import Any

from schemas.errors import ProofError

Schema = Any
"""A schema document as JSON gives it."""


class AvroReader:
    """Reads values one after another. Everything raises ProofError at what does not fit."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self._data, self.position = data, position
        self._named: dict[str, Schema] = {}

    def read(self, schema: Schema) -> Any:
        """A value: records as dicts, bytes as bytes, texts as str."""
        kind = schema["type"] if isinstance(schema, dict) else schema
        if isinstance(kind, list):
            return self._read_branch(kind)
        if isinstance(kind, dict):
            return self.read(kind)
        match kind:
            case "null":
                return None
            case "boolean":
                return self._take(1) == b"\x01"
            case "int" | "long":
                return self.read_long()
            case "bytes":
                return self._take(self._read_length())
            case "string":
                return self._take(self._read_length()).decode("utf-8", "surrogateescape")
            case "enum":
                self._name(schema)
                return self._pick(schema["symbols"], self.read_long())
            case "array":
                return [self.read(schema["items"]) for _ in self._count_items()]
            case "map":
                return {self.read("string"): self.read(schema["values"]) for _ in self._count_items()}
            case "record":
                self._name(schema)
                return {field["name"]: self.read(field["type"]) for field in schema["fields"]}
            case _ if kind in self._named:
                return self.read(self._named[kind])
        raise ProofError(f"an Avro type that is not known here: {str(kind)[:60]}")

    def finish(self) -> None:
        """Raises ProofError unless everything was read."""
        if self.position != len(self._data):
            raise ProofError("bytes after the end of an Avro value")

    def read_long(self) -> int:
        """A zigzag number of at most 64 bits."""
        number = shift = 0
        while shift < 70:
            byte = self._take(1)[0]
            number |= (byte & 127) << shift
            if byte < 128:
                return (number >> 1) ^ -(number & 1)
            shift += 7
        raise ProofError("an Avro number longer than 64 bits")

    def _read_branch(self, branches: list[Schema]) -> Any:
        return self.read(self._pick(branches, self.read_long()))

    def _read_length(self) -> int:
        length = self.read_long()
        if length < 0:
            raise ProofError("a negative length in Avro")
        return length

    def _count_items(self) -> Any:
        """Once for each item of an array's or map's blocks."""
        while count := self.read_long():
            if count < 0:
                count = -count
                self.read_long()
            if count > len(self._data):
                raise ProofError("an Avro block of more items than bytes")
            yield from range(count)

    def _take(self, length: int) -> bytes:
        end = self.position + length
        if end > len(self._data):
            raise ProofError("an Avro value that is cut off")
        data, self.position = self._data[self.position : end], end
        return data

    def _pick(self, choices: list[Any], index: int) -> Any:
        if not 0 <= index < len(choices):
            raise ProofError("an Avro branch or symbol that does not exist")
        return choices[index]

    def _name(self, schema: dict[str, Any]) -> None:
        self._named[schema["name"]] = schema
        self._named[f"{schema.get('namespace', 'custody.v1')}.{schema['name']}"] = schema


def read_record(schema: Schema, data: bytes) -> dict[str, Any]:
    """A whole record. Raises ProofError."""
    reader = AvroReader(data)
    value: dict[str, Any] = reader.read(schema)
    reader.finish()
    return value


def read_stored(batch_schema: Schema, canonical: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """(session context, event) out of canonical bytes; `batch_schema` is the EventBatch whose fingerprint they name."""
    fields = {field["name"]: field["type"] for field in batch_schema["fields"]}
    event = next(field["type"] for field in fields["events"]["items"]["fields"] if field["name"] == "event")
    reader = AvroReader(canonical)
    reader.read("bytes")
    session_value = reader.read(fields["sessions"]["items"])
    event_value = reader.read(event)
    reader.finish()
    return session_value, event_value


def read_fingerprint(canonical: bytes) -> bytes:
    """Which EventBatch schema canonical bytes name, 8 bytes."""
    fingerprint: bytes = AvroReader(canonical).read("bytes")
    return fingerprint
