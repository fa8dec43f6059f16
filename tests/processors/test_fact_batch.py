"""Facts read from bytes are the facts that the general reader reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.fact_batch import FactReader
from schemas.errors import RecordError
from schemas.events import DeadLetter, Fact, FactBatch, Origin
from schemas.wire import framing

LONGS = st.integers(-(1 << 63), (1 << 63) - 1)
TEXTS = st.text(max_size=20) | st.sampled_from(["x" * 64, "ß" * 200])
FACTS = st.builds(
    Fact, LONGS, st.integers(0, 1 << 20), TEXTS, LONGS, LONGS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS,
    st.booleans(), LONGS, LONGS, st.lists(TEXTS, max_size=3),
)  # fmt: skip
READER = FactReader()


@given(st.lists(FACTS, max_size=5), TEXTS)
def test_any_batch(facts: list[Fact], log_id: str) -> None:
    batch = FactBatch(Origin(log_id, 3, 1 << 40), 1, 2, facts)
    data = framing.encode(batch)
    assert READER.read(data) == batch == framing.decode(data)


def test_what_is_none_is_refused() -> None:
    fact = Fact(1, 2, "s", 3, 4, "a", "p", "r", "k", "o", "v", "200", True, 5, 6, ["t"])
    data = framing.encode(FactBatch(Origin("log", 0, 1), 0, 1, [fact, fact]))
    for end in range(len(data)):
        with pytest.raises(RecordError):
            FactReader().read(data[:end])
    other = framing.encode(DeadLetter(Origin("log", 0, 1), "s", "r", b"", 1))
    for value in (data + b"\x00", other, data.replace(b"\x02s", b"\x02\xff"), data[:20] + b"\xff" * 30):
        with pytest.raises(RecordError):
            FactReader().read(value)


def test_remembered_strings_are_bounded() -> None:
    reader = FactReader()
    for start in range(0, 20_000, 1000):
        facts = [
            Fact(1, 2, f"s{n}", 3, 4, "a", "p", "r", "k", "o", "v", "", False, 5, 6) for n in range(start, start + 1000)
        ]
        reader.read(framing.encode(FactBatch(Origin("log", 0, 1), 0, 1, facts)))
    assert len(reader._words) <= 8193
