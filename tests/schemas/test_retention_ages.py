"""Ages combine by the longest minimum and the shortest maximum, whatever their number and order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.retention_ages import AgesConflict, Bound, ClassAges, check_together, combine, name_combination, parts_of
from schemas.retention_config import RetentionClass

BOUNDS = st.lists(st.builds(Bound, st.integers(0, 400), st.sampled_from("abc")), min_size=1, max_size=6)
CLASSES = {
    "short": RetentionClass(max_age_days=30),
    "pci": RetentionClass(max_age_days=800, min_age_days=366, presets=["pci-dss-4"]),
    "limited": RetentionClass(max_age_days=400, presets=["gdpr-storage-limit"]),
}


@given(BOUNDS, BOUNDS)
def test_max_of_minimums_min_of_maximums_or_a_refusal_that_names_both(least: list[Bound], most: list[Bound]) -> None:
    needed, allowed = max(bound.days for bound in least), min(bound.days for bound in most)
    if needed > allowed:
        with pytest.raises(
            AgesConflict, match=rf"must be kept {needed} days \([abc]\) and gone after {allowed} \([abc]\)"
        ):
            combine(least, most)
    else:
        assert combine(least, most) == (needed, allowed)


def test_a_combination_has_one_name_however_it_comes_about() -> None:
    assert name_combination(["pci"]) == "pci"
    assert name_combination(["pci", "limited", "pci"]) == "limited+pci" == name_combination(["limited+pci", "pci"])
    assert parts_of("limited+pci") == ["limited", "pci"] and parts_of("pci") == ["pci"]


def test_who_knows_the_classes_knows_each_combination() -> None:
    ages = ClassAges(CLASSES)
    both = ages["limited+pci"]
    assert (both.min_age_days, both.max_age_days) == (366, 400)
    assert both.presets == ["gdpr-storage-limit", "pci-dss-4"]
    assert ages["pci"] is CLASSES["pci"] and list(ages) == list(CLASSES) and len(ages) == 3
    assert "limited+pci" in ages


@pytest.mark.parametrize("name", ["gone", "gone+pci", "pci+gone", "", "+", "pci+", "held", "a" * 10_000])
def test_a_class_or_part_that_no_setting_names_has_no_ages(name: str) -> None:
    ages = ClassAges(CLASSES)
    assert name not in ages and ages.get(name) is None


def test_an_old_combination_that_newer_ages_contradict_is_kept_for_its_minimum() -> None:
    with pytest.raises(AgesConflict, match=r"must be kept 366 days \(rule 2\) and gone after 30 \(rule 1\)"):
        check_together({"rule 1": CLASSES["short"], "rule 2": CLASSES["pci"]})
    old = ClassAges(CLASSES)["pci+short"]
    assert (old.min_age_days, old.max_age_days) == (366, 366)
