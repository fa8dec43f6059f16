"""A batch taken apart: its fields, and where each event's bytes stand, so that untouched events are copied. Pure.

Most events of a batch hold nothing to mask. Reading them one by one costs what reading the whole batch at once does,
and spares encoding them again, which costs as much once more.
"""

import io
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import fastavro
from fastavro.schema import parse_schema

from schemas.errors import RecordError
from schemas.wire import framing
from schemas.wire.avro import EMPTY, zigzag

_DOCUMENT: Final = framing.load_avsc("EventBatch")
_EVENTS: Final = _DOCUMENT["fields"][-1]


def _standalone(schema: dict[str, Any], namespace: str) -> Any:
    """Under a namespace of its own: fastavro keeps one global table of names."""
    return parse_schema({**schema, "namespace": f"custody.v1.{namespace}"})


_FRONT: Final = _standalone({**_DOCUMENT, "fields": _DOCUMENT["fields"][:-1]}, "front")
_ITEM: Final = _standalone(_EVENTS["type"]["items"], "item")


def read_batch(plain: bytes) -> tuple[dict[str, Any], Sequence[int]]:
    """The fields of a bare EventBatch, and positions: event i is plain[positions[i]:positions[i + 1]].

    No positions when its events come in several blocks, as nobody of ours writes them. Raises RecordError.
    """
    buffer = io.BytesIO(plain)
    try:
        fields: dict[str, Any] = fastavro.schemaless_reader(buffer, _FRONT, None)
        count = fastavro.schemaless_reader(buffer, "long", None)
        positions = [buffer.tell()]
        events: list[Any] = []
        if 0 < count <= len(plain):
            read, tell, found = fastavro.schemaless_reader, buffer.tell, positions.append
            for _ in range(count):
                events.append(read(buffer, _ITEM, None))
                found(tell())
    # Hostile bytes make the reader raise almost anything (EOFError, ValueError, IndexError, MemoryError …).
    except Exception as error:
        raise RecordError(f"not an EventBatch: {type(error).__name__}") from None
    if (count and plain[positions[-1] :] != EMPTY) or (not count and positions[0] != len(plain)):
        return framing.decode_body("EventBatch", plain), ()  # several blocks, or no batch at all
    fields["events"] = events
    return fields, positions


def write_batch(fields: Mapping[str, Any], changed: Collection[int], plain: bytes, positions: Sequence[int]) -> bytes:
    """The bare EventBatch of `fields`: `changed` events and those behind the read ones encoded, the others copied."""
    if not positions:
        return framing.encode_body("EventBatch", fields)
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, _FRONT, fields)
    events, read = fields["events"], len(positions) - 1
    if events:
        buffer.write(zigzag(len(events)))
    for index, item in enumerate(events):
        if index < read and index not in changed:
            buffer.write(plain[positions[index] : positions[index + 1]])
        else:
            fastavro.schemaless_writer(buffer, _ITEM, item)
    buffer.write(EMPTY)
    return buffer.getvalue()
