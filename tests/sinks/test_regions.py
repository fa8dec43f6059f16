"""Whole batches are compared with the schema's own reader in test_columns.py."""

import pytest

from schemas.errors import RecordError
from sinks.regions import read_map, read_masked, read_origin, read_outcome, read_text, read_texts, skip_masked

MAP = b"\x04\x02a\x02b\x02c\x02d\x00"
MASKED = b"\x02\x08card\x02\x04t1\x06row\x00"


def test_maps_outcomes_and_masked_values_are_read() -> None:
    assert read_map(MAP) == {b"a": b"b", b"c": b"d"} and read_map(b"\x00") == {}
    assert read_outcome(b"\x04ok\x00") == (b"ok", b"")
    assert read_masked(MASKED) == [(b"card", 1, b"t1", b"row")]
    assert skip_masked(MASKED + b"rest", 0) == len(MASKED)
    assert read_texts(b"\x04\x02a\x02b\x00", 0) == ([b"a", b"b"], 6)


def test_an_origin_may_be_absent() -> None:
    assert read_origin(b"\x00", 0) == (None, 1)
    assert read_origin(b"\x02\x02l\x06\x08", 0) == (("l", 3, 4), 5)
    with pytest.raises(RecordError):
        read_origin(b"\x04", 0)


@pytest.mark.parametrize("end", range(len(MAP)))
def test_what_is_cut_is_an_error(end: int) -> None:
    with pytest.raises((RecordError, IndexError)):
        read_map(MAP[:end])
    with pytest.raises(RecordError):
        read_text(b"\x06ab", 0)
