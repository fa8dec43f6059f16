"""Sightings written and read here are those that the general writer and reader write and read."""

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.fact_batch import MAX_WORDS
from processors.sighting_batch import SightingReader, encode_sightings
from schemas.errors import RecordError
from schemas.events import DeadLetter, FlowValue, Origin, Sighting, SightingBatch
from schemas.wire import framing

LONGS = st.integers(-(1 << 63), (1 << 63) - 1)
TEXTS = st.text(max_size=20) | st.sampled_from(["x" * 64, "ß" * 200])
VALUES = st.builds(FlowValue, TEXTS, TEXTS)
SIGHTINGS = st.builds(
    Sighting, st.integers(0, 1 << 20), TEXTS, LONGS, LONGS, LONGS, TEXTS, TEXTS, TEXTS, st.lists(TEXTS, max_size=3),
    TEXTS, st.booleans(), st.lists(VALUES, max_size=3),
)  # fmt: skip
READER = SightingReader()
ORIGIN = Origin("log", 3, 1 << 40)
SEEN = Sighting(
    2, "s", 3, 4, 4, "a", "p", "run", ["b"], "r", True, [FlowValue("payment_card", "t" * 16), FlowValue("", "f" * 16)]
)


@given(st.lists(SIGHTINGS, max_size=5), st.integers(0, 7))
def test_any_batch(sightings: list[Sighting], bucket: int) -> None:
    batch = SightingBatch(ORIGIN, bucket, sightings)
    data = framing.encode(batch)
    assert encode_sightings(vars(ORIGIN), bucket, [asdict(sighting) for sighting in sightings]) == data
    assert READER.read(data) == batch == framing.decode(data)


def test_what_is_none_is_refused() -> None:
    data = framing.encode(SightingBatch(ORIGIN, 1, [SEEN, SEEN]))
    for end in range(len(data)):
        with pytest.raises(RecordError):
            SightingReader().read(data[:end])
    other = framing.encode(DeadLetter(ORIGIN, "s", "r", b"", 1))
    for value in (data + b"\x00", other, data.replace(b"\x02s", b"\x02\xff"), data[:30] + b"\xff" * 30):
        with pytest.raises(RecordError):
            SightingReader().read(value)


def test_remembered_strings_are_bounded_and_no_token_is_among_them() -> None:
    reader = SightingReader()
    reader.read(framing.encode(SightingBatch(ORIGIN, 0, [SEEN])))
    assert "payment_card" in reader._words.values() and "t" * 16 not in reader._words.values()
    for start in range(0, 20_000, 1000):
        found = [Sighting(1, f"s{n}", 3, 4, 4, "a", "p", "r") for n in range(start, start + 1000)]
        reader.read(framing.encode(SightingBatch(ORIGIN, 0, found)))
    assert len(reader._words) <= MAX_WORDS + 1
