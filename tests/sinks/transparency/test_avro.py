"""The small Avro reader against the library, on every record there is; and on hostile bytes."""

import io
import random

import fastavro
import pytest

from schemas.errors import ProofError
from schemas.events import RetentionAction, RetentionVerb
from schemas.wire import framing
from sinks.columns import decode_batch
from sinks.transparency.avro import AvroReader, read_fingerprint, read_record, read_stored
from tests.sinks.transparency.test_walk import make_varied


@pytest.mark.parametrize("seed", range(3))
def test_it_reads_what_the_library_reads(seed: int) -> None:
    document = framing.load_avsc("EventBatch")
    body = framing.encode(make_varied(seed))[10:]
    expected = fastavro.schemaless_reader(io.BytesIO(body), fastavro.parse_schema(document), None)
    assert read_record(document, body) == expected


def test_it_reads_canonical_bytes_and_orders() -> None:
    batch = make_varied(1)
    document = framing.load_avsc("EventBatch")
    for item, canonical in zip(batch.events, decode_batch(framing.encode(batch)).columns.canonical, strict=True):
        session, event = read_stored(document, canonical)
        assert read_fingerprint(canonical) == framing.current_fingerprint("EventBatch")
        assert session["session_id"] == batch.sessions[item.session].session_id
        assert (event["seq"], event["statement"], event["opening"]) == (item.event.seq, item.event.statement, b"")
    action = RetentionAction("o", RetentionVerb.EXPIRE, "standard", "2026-01-01", 5, "why", {"a": "b"}, 7)
    read = read_record(framing.load_avsc("RetentionAction"), framing.encode(action)[10:])
    assert read == action.__dict__


def test_hostile_bytes_end_in_an_error_or_a_value() -> None:
    document = framing.load_avsc("EventBatch")
    body = framing.encode(make_varied(2))[10:]
    dice = random.Random(3)
    for end in range(0, 400):
        with pytest.raises(ProofError):
            read_record(document, body[:end])
    for _ in range(300):
        at = dice.randrange(min(len(body), 2000))
        try:
            read_record(document, body[:at] + dice.randbytes(1) + body[at + 1 :])
        except ProofError:
            continue
    enum = {"type": "enum", "name": "e", "symbols": ["a"]}
    many = {"type": "array", "items": "null"}
    hostile = ((b"\xff" * 11, "long"), (b"\x01", "bytes"), (b"\x7f", ["null"]), (b"\x03", enum), (b"", "decimal"))
    for data, schema in (*hostile, (b"\xfe\xff\xff\xff\x0f", many)):
        with pytest.raises(ProofError):
            AvroReader(data).read(schema)
    with pytest.raises(ProofError, match="after the end"):
        read_record({"type": "record", "name": "r", "fields": []}, b"\x00")
