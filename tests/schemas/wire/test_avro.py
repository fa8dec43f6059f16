"""The spelled-out encoding is what a general Avro writer writes."""

import io

import fastavro
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.wire import avro, batching, framing
from tests.schemas.test_events import EVENTS


def write(schema: object, value: object) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(schema), value)
    return buffer.getvalue()


@given(st.integers(-(2**63), 2**63 - 1) | st.integers(-300, 20_000))
@settings(max_examples=200)
def test_zigzag_is_avros_long(value: int) -> None:
    assert avro.zigzag(value) == write("long", value)


@given(st.text() | st.text(max_size=60))
def test_text_and_blob(value: str) -> None:
    assert avro.text(value) == avro.string(value) == avro.word(value) == write("string", value)
    assert avro.blob(value.encode()) == write("bytes", value.encode())


@given(st.dictionaries(st.text(), st.text(), max_size=4), st.lists(st.none() | st.text(), max_size=4))
def test_maps_and_arrays(pairs: dict[str, str], values: list[str | None]) -> None:
    assert avro.mapping(pairs) == write({"type": "map", "values": "string"}, pairs)
    assert avro.nullable_strings(values) == write({"type": "array", "items": ["null", "string"]}, values)
    plain = [value for value in values if value is not None]
    assert avro.strings(plain) == write({"type": "array", "items": "string"}, plain)


@given(EVENTS)
@settings(max_examples=200, deadline=None)
def test_an_event_is_encoded_as_the_schema_says(event: batching.Event) -> None:
    assert batching.encode_event(event) == write(batching.EVENT_SCHEMA, framing.event_fields(event))
