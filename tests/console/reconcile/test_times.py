import pytest

from console.reconcile.times import UnknownZone, find_zone, parse_any, parse_common, parse_local
from schemas.errors import ConfigError

NOON = 1_769_860_800_000_000  # 2026-01-31T12:00Z


@pytest.mark.parametrize(
    "text",
    ["2026-01-31 12:00:00 UTC", "2026-01-31 12:00:00.000 GMT", "2026-01-31 13:00:00 +01", "2026-01-31 06:30:00 -05:30"],
)
def test_local_times(text: str) -> None:
    assert parse_local(text, None) == NOON


def test_an_abbreviated_zone_must_be_known_and_tells_the_hour_that_comes_twice() -> None:
    berlin = find_zone("Europe/Berlin")
    assert parse_local("2026-01-31 13:00:00 CET", berlin) == NOON
    first = parse_local("2026-10-25 02:30:00 CEST", berlin)
    assert parse_local("2026-10-25 02:30:00 CET", berlin) - first == 3_600_000_000
    with pytest.raises(UnknownZone, match="--time-zone"):
        parse_local("2026-01-31 13:00:00 CET", None)
    with pytest.raises(ValueError, match="no time of Europe/Berlin"):
        parse_local("2026-01-31 13:00:00 EST", berlin)
    with pytest.raises(ConfigError, match="no time zone"):
        find_zone("Mars/Base")
    with pytest.raises(ConfigError, match="no time zone"):
        find_zone("../../etc/passwd")


def test_common_log_times() -> None:
    assert parse_common("31/Jan/2026:13:00:00 +0100") == NOON
    assert parse_common("29/Feb/2028:00:00:00 +0000") - parse_common("28/Feb/2028:00:00:00 +0000") == 86_400_000_000
    for text in ("31/Foo/2026:13:00:00 +0100", "29/Feb/2026:13:00:00 +0100", "now"):
        with pytest.raises(ValueError):
            parse_common(text)


def test_times_of_json_logs() -> None:
    for value in (
        NOON // 1_000_000,
        NOON / 1e6,
        NOON // 1000,
        "1769860800.000",
        "2026-01-31T13:00:00+01:00",
        "2026-01-31T12:00:00Z",
        "31/Jan/2026:12:00:00 +0000",
    ):
        assert parse_any(value) == NOON, value
    for value in (None, True, -1, float("inf"), float("nan"), "2026-01-31T12:00:00", "soon", [], "9" * 400):
        with pytest.raises((ValueError, OverflowError)):
            parse_any(value)
