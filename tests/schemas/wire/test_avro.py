"""The spelled-out encoding is what a general Avro writer writes."""

import io
from collections.abc import Callable
from typing import Any

import fastavro
from hypothesis import given, settings
from hypothesis import strategies as st
from librt.strings import BytesWriter

from schemas.wire import avro, batching, framing
from tests.schemas.test_events import EVENTS


def write(schema: object, value: object) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(schema), value)
    return buffer.getvalue()


def written(writer: Callable[[BytesWriter, Any], None], value: Any) -> bytes:
    out = BytesWriter()
    writer(out, value)
    return out.getvalue()


@given(st.integers(-(2**63), 2**63 - 1) | st.integers(-300, 20_000))
@settings(max_examples=200)
def test_numbers_are_avros_longs(value: int) -> None:
    assert avro.zigzag(value) == written(avro.write_long, value) == write("long", value)


@given(st.text() | st.text(max_size=60))
def test_text_and_blob(value: str) -> None:
    assert avro.text(value) == avro.word(value) == written(avro.write_text, value) == write("string", value)
    assert avro.blob(value.encode()) == written(avro.write_blob, value.encode()) == write("bytes", value.encode())


@given(st.dictionaries(st.text(), st.text(), max_size=4), st.lists(st.none() | st.text(), max_size=4))
def test_maps_and_arrays(pairs: dict[str, str], values: list[str | None]) -> None:
    assert written(avro.write_mapping, pairs) == write({"type": "map", "values": "string"}, pairs)
    assert written(avro.write_nullable_strings, values) == write({"type": "array", "items": ["null", "string"]}, values)
    plain = [value for value in values if value is not None]
    assert avro.array([avro.text(item) for item in plain]) == written(avro.write_strings, plain)
    assert written(avro.write_strings, plain) == write({"type": "array", "items": "string"}, plain)


@given(EVENTS)
@settings(max_examples=200, deadline=None)
def test_an_event_is_encoded_as_the_schema_says(event: batching.Event) -> None:
    assert batching.encode_event(event) == write(batching.EVENT_SCHEMA, framing.event_fields(event))
