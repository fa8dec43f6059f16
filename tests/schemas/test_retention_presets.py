"""Presets lengthen, combine by the longest minimum, and refuse what contradicts them."""

from datetime import date, timedelta

import pytest

from schemas.config import parse_settings
from schemas.errors import ConfigError
from schemas.retention_presets import PRESETS, find_minimum


def test_the_longest_minimum_counts() -> None:
    assert find_minimum([], 5) == 5
    assert find_minimum(["eu-ai-act"], 5) == 184 and find_minimum(["eu-ai-act"], 200) == 200
    assert find_minimum(["pci-dss-4", "hipaa", "eu-ai-act"], 0) == 2192
    with pytest.raises(ConfigError, match="no retention preset 'm-21-31'"):
        find_minimum(["m-21-31"], 0)


@pytest.mark.parametrize(("name", "months"), [("pci-dss-4", 12), ("hipaa", 72), ("sec-17a-4-b", 36), ("eu-ai-act", 6)])
def test_days_are_never_fewer_than_the_months_whatever_the_calendar(name: str, months: int) -> None:
    for start in (date(2023, 3, 1), date(2024, 1, 1), date(2024, 2, 29), date(2023, 8, 31), date(2027, 7, 1)):
        month = start.month - 1 + months
        end = date(start.year + month // 12, month % 12 + 1, min(start.day, 28))
        assert start + timedelta(days=PRESETS[name].min_days) >= end
        assert PRESETS[name].source


def test_settings_take_the_preset_or_refuse_the_contradiction() -> None:
    text = "retention: {classes: {standard: {max_age_days: 800, presets: [pci-dss-4, eu-ai-act]}}}"
    assert parse_settings(text).retention.classes["standard"].min_age_days == 366
    with pytest.raises(ConfigError, match=r"retention.classes: .*standard.*must be kept 366 days and gone after 90"):
        parse_settings("retention: {classes: {standard: {max_age_days: 90, presets: [pci-dss-4]}}}")
    with pytest.raises(ConfigError, match="no retention preset"):
        parse_settings("retention: {classes: {standard: {max_age_days: 90, presets: [nothing]}}}")
