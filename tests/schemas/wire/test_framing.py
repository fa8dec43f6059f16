"""Framing: both forms are told apart, and hostile bytes end in RecordError."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas import events
from schemas.errors import RecordError
from schemas.events import Control, EventBatch
from schemas.wire import framing

CONTROL = Control("resource", "db", 1, "{}", "api", b"sig")
RECORDS = [framing.encode(CONTROL), framing.encode(EventBatch("p", "e", 0))]


class MemoryRegistry:
    """A schema registry of one process."""

    def __init__(self) -> None:
        self.schemas: list[str] = []

    def id_of(self, record: str, schema_json: str) -> int:
        if schema_json not in self.schemas:
            self.schemas.append(schema_json)
        return self.schemas.index(schema_json) + 1

    def schema_of(self, schema_id: int) -> str:
        if not 1 <= schema_id <= len(self.schemas):
            raise RecordError(f"no schema {schema_id}")
        return self.schemas[schema_id - 1]


def test_fingerprint_is_that_of_the_specification() -> None:
    # Avro's own test vectors: CRC-64-AVRO of "int" is 7275d51a3f395c8f, written little-endian
    assert framing.schema_fingerprint("int").hex() == "8f5c393f1ad57572"  # type: ignore[arg-type]


def test_single_object_encoding_starts_as_specified() -> None:
    assert RECORDS[0][:2] == b"\xc3\x01"


def test_confluent_framing_is_read_beside_single_object() -> None:
    registry = MemoryRegistry()
    framed = framing.encode(CONTROL, registry)
    assert framed[0] == 0 and int.from_bytes(framed[1:5], "big") == 1
    assert framing.decode(framed, registry) == framing.decode(RECORDS[0], registry) == CONTROL


def test_confluent_framing_without_a_registry_is_refused() -> None:
    with pytest.raises(RecordError, match="no schema registry"):
        framing.decode(framing.encode(CONTROL, MemoryRegistry()))


def test_a_registry_that_answers_nonsense_is_refused() -> None:
    registry = MemoryRegistry()
    for answer in ("{", json.dumps({"type": "nonsense"}), json.dumps("int")):
        registry.schemas = [answer]
        with pytest.raises(RecordError):
            framing.decode(b"\0\0\0\0\x01body", registry)


@pytest.mark.parametrize("data", RECORDS)
def test_truncated_and_trailing_bytes_are_refused(data: bytes) -> None:
    for end in range(len(data)):
        with pytest.raises(RecordError):
            framing.decode(data[:end])
    with pytest.raises(RecordError, match="after the end"):
        framing.decode(data + b"\0")


@given(st.binary(max_size=200), st.sampled_from(RECORDS))
@example(b"\xff" * 60, RECORDS[1])
@settings(max_examples=300, deadline=None)
def test_hostile_bytes_end_in_a_record_error(noise: bytes, data: bytes) -> None:
    for hostile in (noise, data[:10] + noise):
        try:
            framing.decode(hostile)
        except RecordError:
            continue


@pytest.mark.parametrize("redrives", [None, events.Origin("log", 3, 1 << 40)])
def test_a_header_is_encoded_as_the_schema_says(redrives: events.Origin | None) -> None:
    header = events.SealedHeader("proxy-tcp", "ab" * 16, 7, 1 << 33, 1_790_000_000_000_000, "k", bytes(80), redrives)
    body = framing.encode_body("SealedBatch", framing.to_avro(events.SealedBatch(header, b"c", b"s")))
    assert body == framing.encode_header(header) + b"\x02c\x02s"
