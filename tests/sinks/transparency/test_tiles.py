"""Paths, tiles and bundles, with the specification's own examples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ProofError
from sinks.transparency.tiles import (
    bundle_path,
    format_number,
    frame_entry,
    split_bundle,
    split_tile,
    tile_path,
    tile_width,
)


def test_the_paths_of_the_specification() -> None:
    assert format_number(1234067) == "x001/x234/067"
    assert format_number(0) == "000" and format_number(999) == "999" and format_number(1000) == "x001/000"
    assert tile_path(0, 273, 112) == "tile/0/273.p/112"
    assert bundle_path(70_000) == "tile/entries/x070/000"


def test_the_widths_of_the_specification() -> None:
    assert [tile_width(level, 0, 256) for level in (0, 1, 2)] == [256, 1, 0]
    assert [tile_width(0, n, 70_000) for n in (0, 272, 273, 274)] == [256, 256, 112, 0]
    assert [tile_width(1, n, 70_000) for n in (0, 1, 2)] == [256, 17, 0]
    assert tile_width(2, 0, 70_000) == 1


@given(st.lists(st.binary(max_size=40), max_size=300))
def test_a_bundle_gives_back_its_entries(items: list[bytes]) -> None:
    assert split_bundle(b"".join(frame_entry(item) for item in items), len(items)) == items


@given(st.binary(max_size=100), st.integers(0, 20))
def test_hostile_bundles_end_in_an_error_or_whole(data: bytes, width: int) -> None:
    try:
        found = split_bundle(data, width)
    except ProofError:
        return
    assert b"".join(frame_entry(item) for item in found) == data and len(found) == width


def test_what_does_not_fit_is_refused() -> None:
    frame_entry(bytes(65_535))
    for call in (
        lambda: frame_entry(bytes(65_536)),
        lambda: split_tile(bytes(31), 1),
        lambda: split_tile(bytes(64), 1),
        lambda: split_bundle(b"\x00", 1),
        lambda: split_bundle(b"\x00\x05abc", 1),
        lambda: split_bundle(b"\x00\x01a", 2),
        lambda: split_bundle(b"\x00\x01a\x00", 1),
    ):
        with pytest.raises(ProofError):
            call()
