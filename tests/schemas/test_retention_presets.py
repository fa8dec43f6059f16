"""Presets are data: each with its source, and days that are never fewer than its months."""

from datetime import date, timedelta

import pytest

from schemas.errors import ConfigError
from schemas.retention_presets import PRESETS, STORAGE_LIMIT, find_preset


@pytest.mark.parametrize(("name", "months"), [("pci-dss-4", 12), ("hipaa", 72), ("sec-17a-4-b", 36), ("eu-ai-act", 6)])
def test_days_are_never_fewer_than_the_months_whatever_the_calendar(name: str, months: int) -> None:
    for start in (date(2023, 3, 1), date(2024, 1, 1), date(2024, 2, 29), date(2023, 8, 31), date(2027, 7, 1)):
        month = start.month - 1 + months
        end = date(start.year + month // 12, month % 12 + 1, min(start.day, 28))
        assert start + timedelta(days=PRESETS[name].min_days) >= end


def test_each_names_its_source_and_bounds_something() -> None:
    assert {"pci-dss-4", "hipaa", "sec-17a-4-a", "sec-17a-4-b", "eu-ai-act", STORAGE_LIMIT} == set(PRESETS)
    for preset in PRESETS.values():
        assert preset.source and (preset.min_days > 0) != (preset.max_days is not None)
    assert "5(1)(e)" in PRESETS[STORAGE_LIMIT].source and PRESETS[STORAGE_LIMIT].max_days == 366


def test_an_unknown_one_is_refused_with_those_there_are() -> None:
    assert find_preset("hipaa").min_days == 2192
    with pytest.raises(ConfigError, match=r"no retention preset 'm-21-31'; there are: pci-dss-4, .*gdpr-storage-limit"):
        find_preset("m-21-31")
