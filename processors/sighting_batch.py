"""Writes and reads a SightingBatch straight from its Avro bytes, without the general reader's and writer's dicts. Pure.

The layout is that of `SightingBatch.v1.avsc`; other versions go through the general reader. Compiled where a C compiler
is at hand (deploy/native.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from librt.strings import BytesWriter

from processors.fact_batch import read_whole, read_word, read_words
from schemas.errors import RecordError
from schemas.events import FlowValue, Origin, Sighting, SightingBatch
from schemas.wire import framing
from schemas.wire.avro import write_long, write_strings, write_text
from schemas.wire.skips import content_of, read_count, read_long, skip_text

_CURRENT: Final = framing.current_fingerprint("SightingBatch")


def encode_sightings(origin: Mapping[str, Any], bucket: int, sightings: Sequence[Mapping[str, Any]]) -> bytes:
    """A framed SightingBatch of sightings given as their fields."""
    out = BytesWriter()
    write_text(out, origin["log_id"])
    write_long(out, origin["partition"])
    write_long(out, origin["offset"])
    write_long(out, bucket)
    if sightings:
        write_long(out, len(sightings))
        for sighting in sightings:
            _write_sighting(out, sighting)
    out.append(0)
    return framing.prefix_of("SightingBatch") + out.getvalue()


def _write_sighting(out: BytesWriter, sighting: Mapping[str, Any]) -> None:
    write_long(out, sighting["position"])
    write_text(out, sighting["session_id"])
    write_long(out, sighting["seq"])
    write_long(out, sighting["at"])
    write_long(out, sighting["began"])
    write_text(out, sighting["agent"])
    write_text(out, sighting["principal"])
    write_text(out, sighting["run_id"])
    write_strings(out, sighting["chain"])
    write_text(out, sighting["resource"])
    out.append(1 if sighting["is_received"] else 0)
    values: list[dict[str, str]] = sighting["values"]
    if values:
        write_long(out, len(values))
        for value in values:
            write_text(out, value["label"])
            write_text(out, value["token"])
    out.append(0)


class SightingReader:
    """Reads the records with sightings of the facts topic. Remembers a bounded number of strings."""

    def __init__(self) -> None:
        self._words: dict[bytes, str] = {}

    def read(self, value: bytes) -> SightingBatch:
        """A framed SightingBatch. Raises RecordError for anything else, Unreachable as framing does."""
        record, fingerprint, start = framing.find_body(value)
        if record != "SightingBatch":
            raise RecordError(f"a {record} instead of sightings on the facts topic")
        if fingerprint != _CURRENT:
            batch = framing.decode(value)
            assert isinstance(batch, SightingBatch)  # noqa: S101 - find_body said so
            return batch
        return read_whole("SightingBatch", _read_batch, value, start, self._words)


def _read_batch(b: bytes, p: int, words: dict[bytes, str]) -> tuple[SightingBatch, int]:
    log_id, p = read_word(b, p, words)
    partition, p = read_long(b, p)
    offset, p = read_long(b, p)
    bucket, p = read_long(b, p)
    sightings: list[Sighting] = []
    while True:
        n, p = read_count(b, p)
        if n == 0:
            return SightingBatch(Origin(log_id, partition, offset), bucket, sightings), p
        for _ in range(n):
            sighting, p = _read_sighting(b, p, words)
            sightings.append(sighting)


def _read_sighting(b: bytes, p: int, words: dict[bytes, str]) -> tuple[Sighting, int]:
    position, p = read_long(b, p)
    session_id, p = read_word(b, p, words)
    seq, p = read_long(b, p)
    at, p = read_long(b, p)
    began, p = read_long(b, p)
    agent, p = read_word(b, p, words)
    principal, p = read_word(b, p, words)
    run_id, p = read_word(b, p, words)
    chain, p = read_words(b, p, words)
    resource, p = read_word(b, p, words)
    is_received = b[p] == 1
    values, p = _read_values(b, p + 1, words)
    return (
        Sighting(position, session_id, seq, at, began, agent, principal, run_id, chain, resource, is_received, values),
        p,
    )


def _read_values(b: bytes, p: int, words: dict[bytes, str]) -> tuple[list[FlowValue], int]:
    values: list[FlowValue] = []
    while True:
        n, p = read_count(b, p)
        if n == 0:
            return values, p
        for _ in range(n):
            label, p = read_word(b, p, words)
            start, p = p, skip_text(b, p)
            if p > len(b):
                raise RecordError("not a SightingBatch: it is cut off")
            values.append(FlowValue(label, content_of(b, start, p).decode()))  # a token is like no other
