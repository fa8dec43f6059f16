from datetime import UTC, datetime, timedelta, timezone

import pytest

from console.times import parse_duration, parse_moment
from tests.console.conftest import Run

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604_800), ("1w", 604_800), ("1h30m", 5400)]
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "h", "1y", "-1h", "0s", "999999999w", "1h 2m", "1" * 40 + "s", "١h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|range"):
        parse_duration(text)


def test_moments() -> None:
    assert parse_moment("2h", NOW) == NOW - timedelta(hours=2)
    assert parse_moment("2026-01-30", NOW) == datetime(2026, 1, 30, tzinfo=UTC)
    assert parse_moment("2026-01-30T10:00+02:00", NOW) == datetime(2026, 1, 30, 10, tzinfo=timezone(timedelta(hours=2)))
    with pytest.raises(ValueError, match="neither a time"):
        parse_moment("yesterday", NOW)


@pytest.mark.parametrize(
    "command",
    ["sessions", "evidence export", "legal-hold place --authority a --reason r", "verify --reconcile r"],
)
def test_a_span_that_ends_before_it_begins_is_refused(custody: Run, command: str) -> None:
    answer = custody(*command.split(), "--since", "1h", "--until", "2h")
    assert (answer.code, answer.out, answer.err) == (2, "", "custody: --since must be before --until\n")
