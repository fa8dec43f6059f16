from collections.abc import Callable

import pytest

from schemas.errors import LogGap
from sinks.origins import SCAN_RECORDS, Begin, Found, Position, find_start, is_next

LOG = "log-a"


def test_takes_each_origin_once_in_order() -> None:
    last = Position(LOG, 4)
    assert is_next(0, last, LOG, 5, Begin.COMPLETE)
    assert not is_next(0, last, LOG, 4, Begin.COMPLETE)
    assert not is_next(0, last, LOG, 0, Begin.COMPLETE)


def test_a_gap_and_another_log_are_errors() -> None:
    with pytest.raises(LogGap, match="origins 5 to 6 are missing"):
        is_next(0, Position(LOG, 4), LOG, 7, Begin.COMPLETE)
    with pytest.raises(LogGap, match="log-b"):
        is_next(0, Position(LOG, 4), "log-b", 5, Begin.COMPLETE)
    with pytest.raises(LogGap, match="3 batches before it are gone"):
        is_next(0, None, LOG, 3, Begin.COMPLETE)


def test_the_beginning() -> None:
    assert is_next(0, None, LOG, 0, Begin.COMPLETE)
    assert is_next(0, None, LOG, 3, Begin.EARLIEST)


def peek_into(origins: list[int], low: int = 0, log_id: str = LOG) -> Callable[[int], Found | None]:
    def peek(at: int) -> Found | None:
        at = max(at, low)
        return Found(at, log_id, origins[at - low]) if at - low < len(origins) else None

    return peek


@pytest.mark.parametrize("low", [0, 1_000])
@pytest.mark.parametrize("last", [0, 1, 63, 64, 500, 998, 999])
def test_finds_a_place_close_before_the_next_origin(low: int, last: int) -> None:
    origins = list(range(1_000))
    start = find_start(peek_into(origins, low), low, low + 1_000, Position(LOG, last)) - low
    assert last + 1 - SCAN_RECORDS - 1 <= start <= last + 1


@pytest.mark.parametrize("cut", range(0, 900, 60))
@pytest.mark.parametrize("back", [1, 5, 300])
def test_never_starts_behind_the_first_occurrence(cut: int, back: int) -> None:
    """A restarted mask went back by `back` at `cut`: each origin there occurs twice."""
    resume = max(0, cut - back)
    origins = [*range(cut + 1), *range(resume, 1_000)]
    for last in range(-1, 999, 37):
        start = find_start(peek_into(origins), 0, len(origins), Position(LOG, last))
        assert start <= origins.index(last + 1)


def test_begins_at_the_start_when_nothing_there_is_known() -> None:
    assert find_start(peek_into(list(range(50, 90)), 7), 7, 47, Position(LOG, 10)) == 7
    assert find_start(peek_into(list(range(90)), 0, "log-b"), 0, 90, Position(LOG, 10)) == 0
