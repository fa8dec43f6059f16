"""Limits of tracing: per caller, in all, and across restarts."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from processors.keyholder.limits import DAY_US, MINUTE_US, Limiter
from schemas.config import Trace
from schemas.errors import ConfigError

LIMITS = Trace(per_minute=3, per_day=5, total_per_day=8)
NOW = 1_800_000_000_000_000


def taken(limiter: Limiter, caller: str, times: list[int]) -> list[bool]:
    return [limiter.take(caller, at) == 0 for at in times]


def test_a_caller_has_its_minute_and_its_day() -> None:
    limiter = Limiter(LIMITS)
    assert taken(limiter, "a", [NOW, NOW + 1, NOW + 2, NOW + 3]) == [True, True, True, False]
    assert limiter.take("a", NOW + 3) == MINUTE_US - 3
    later = NOW + 2 * MINUTE_US
    assert taken(limiter, "a", [later, later, later]) == [True, True, False]
    assert limiter.take("a", later) == DAY_US - 2 * MINUTE_US
    assert limiter.left("a", later) == 0
    assert taken(limiter, "a", [NOW + DAY_US, NOW + DAY_US]) == [True, False]


def test_what_is_refused_does_not_count() -> None:
    limiter = Limiter(LIMITS)
    assert taken(limiter, "a", [NOW] * 50).count(True) == 3
    assert taken(limiter, "a", [NOW + MINUTE_US] * 2) == [True, True]


def test_all_callers_together_have_a_limit() -> None:
    limiter = Limiter(LIMITS)
    assert sum(taken(limiter, f"caller-{number}", [NOW]) == [True] for number in range(20)) == LIMITS.total_per_day
    assert limiter.take("another", NOW) == DAY_US


def test_requests_at_once_do_not_pass_the_limit(tmp_path: Path) -> None:
    limiter = Limiter(Trace(per_minute=50, per_day=50, total_per_day=50), tmp_path / "limits.json")
    with ThreadPoolExecutor(16) as pool:
        waits = list(pool.map(lambda number: limiter.take("a", NOW + number), range(200)))
    assert waits.count(0) == 50


def test_a_restart_is_no_way_around(tmp_path: Path) -> None:
    path = tmp_path / "keyholder" / "limits.json"
    assert taken(Limiter(LIMITS, path), "a", [NOW] * 3) == [True] * 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Limiter(LIMITS, path).take("a", NOW) == MINUTE_US


def test_a_clock_that_is_set_back_frees_nothing() -> None:
    limiter = Limiter(LIMITS)
    taken(limiter, "a", [NOW] * 3)
    assert limiter.take("a", NOW - DAY_US) > 0


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": ["x"]}', "[" * 100_000])
def test_a_changed_file_is_no_clean_slate(tmp_path: Path, text: str) -> None:
    path = tmp_path / "limits.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"limits\.json"):
        Limiter(LIMITS, path)
