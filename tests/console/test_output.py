import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from console.output import (
    as_cell,
    clean,
    counted,
    fail,
    format_bytes,
    format_duration,
    format_time,
    from_us,
    iso_time,
    one_line,
    print_json,
)


def test_text_of_agents_cannot_steer_a_terminal() -> None:
    assert clean("a\x1b[2Jb\x07c\x9bd\u202ee") == "a�[2Jb�c�d�e"
    assert clean("tab\tand\nnewline") == "tab\tand\nnewline"


def test_one_line_folds_and_cuts() -> None:
    assert one_line("SELECT\n   1\t;") == "SELECT 1 ;"
    assert one_line("x" * 300, 10) == "x" * 9 + "…"
    assert one_line("x" * 10, 10) == "x" * 10


@pytest.mark.parametrize(
    ("duration_us", "text"),
    [(12, "12 µs"), (3400, "3.4 ms"), (1_200_000, "1.2 s"), (200_000_000, "3 m 20 s")],
)
def test_durations(duration_us: int, text: str) -> None:
    assert format_duration(duration_us) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (17, "17 B"), (4096, "4.0 KiB"), (5 << 30, "5.0 GiB"), (5 << 40, "5120.0 GiB")]
)
def test_sizes(count: int, text: str) -> None:
    assert format_bytes(count) == text


def test_counts() -> None:
    assert [counted(number, "row") for number in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]


def test_times_are_utc_with_milliseconds() -> None:
    assert format_time(from_us(1_769_860_800_123_456)) == "2026-01-31 12:00:00.123"
    assert as_cell(datetime(2026, 1, 31, 12, tzinfo=UTC)) == "2026-01-31 12:00:00.000"


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=2)), None], ids=["utc", "other", "none"])
def test_times_for_programs_name_their_zone(zone: timezone | None, capsys: pytest.CaptureFixture[str]) -> None:
    hour = 14 if zone not in (UTC, None) else 12
    at = datetime(2026, 1, 31, hour, 0, 0, 5, tzinfo=zone)
    assert iso_time(at) == "2026-01-31T12:00:00.000005Z"
    print_json({"at": at})
    assert json.loads(capsys.readouterr().out) == {"at": iso_time(at)}


def test_cells() -> None:
    assert [as_cell(value) for value in (None, True, b"\xff", [1, "a"], 7)] == ["NULL", "yes", "�", '[1, "a"]', "7"]


def test_a_failure_has_a_line_for_each_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail("a: wrong\nb: wrong\x1b[0m") == 2
    assert capsys.readouterr().err == "custody: a: wrong\ncustody: b: wrong�[0m\n"
