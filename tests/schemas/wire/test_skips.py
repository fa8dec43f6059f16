"""Steps over Avro values end where the schema's own reader ends."""

import io
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import RecordError
from schemas.wire import avro
from schemas.wire.skips import (
    content_of,
    read_count,
    read_long,
    read_parameters,
    skip_long,
    skip_parameters,
    skip_text,
    skip_texts,
)

TEXTS = st.text(max_size=40) | st.sampled_from([63, 64, 65, 8191, 8192]).map(lambda size: "x" * size)
REST = b"\x7f\xff"
ARRAY = {"type": "array", "items": "string"}
MAP = {"type": "map", "values": "string"}
PARAMETERS = {"type": "array", "items": ["null", "string"]}


def written(schema: Any, value: Any) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, value)
    return buffer.getvalue()


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_numbers(value: int) -> None:
    data = written("long", value)
    assert read_long(data + REST, 0) == (value, len(data))
    assert skip_long(data + REST, 0) == len(data)


@given(TEXTS)
def test_texts(value: str) -> None:
    data = written("string", value)
    assert skip_text(data + REST, 0) == len(data)
    assert content_of(b"ab" + data + REST, 2, 2 + len(data)) == value.encode()


@given(st.lists(TEXTS, max_size=70), st.lists(st.none() | TEXTS, max_size=5))
def test_arrays(values: list[str], parameters: list[str | None]) -> None:
    data, pairs = written(ARRAY, values), dict.fromkeys(values, "v")
    assert skip_texts(data + REST, 0) == len(data)
    assert skip_texts(written(MAP, pairs) + REST, 0, 2) == len(written(MAP, pairs))
    encoded = written(PARAMETERS, parameters)
    assert skip_parameters(encoded + REST, 0) == len(encoded)
    contents = [value.encode() for value in parameters if value is not None]
    assert read_parameters(encoded + REST, 0) == (contents, len(encoded))


def test_blocks_that_tell_their_size() -> None:
    items = avro.text("a") + avro.text("b")
    data = avro.zigzag(-2) + avro.zigzag(len(items)) + items + avro.zigzag(1) + avro.text("c") + b"\x00"
    assert fastavro.schemaless_reader(io.BytesIO(data), ARRAY, None) == ["a", "b", "c"]
    assert skip_texts(data + REST, 0) == len(data)
    assert read_count(data, 0) == (2, 2)


def test_hostile_bytes_are_refused_at_once() -> None:
    for skip in (read_long, skip_long, skip_text, skip_texts, skip_parameters):
        with pytest.raises(RecordError):
            skip(b"\xff" * 40, 0)
        with pytest.raises(IndexError):
            skip(b"", 0)
    with pytest.raises(RecordError):
        skip_text(avro.zigzag(-5), 0)
    with pytest.raises(RecordError):
        skip_texts(avro.zigzag(1 << 40) + b"\x00" * 9, 0)
    with pytest.raises(RecordError):
        skip_parameters(avro.zigzag(1) + b"\x04\x00\x00", 0)
