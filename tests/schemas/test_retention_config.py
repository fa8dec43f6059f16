"""Which session is of which class, and that settings which contradict themselves are refused when they are read."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.config import parse_settings
from schemas.errors import ConfigError
from schemas.retention_ages import AgesConflict
from schemas.retention_config import Assignment, Retention

CLASSES = {
    "standard": {"max_age_days": 365},
    "short": {"max_age_days": 30},
    "pci": {"presets": ["pci-dss-4"], "max_age_days": 800},
    "personal": {"presets": ["gdpr-storage-limit"]},
    "health": {"presets": ["hipaa"], "max_age_days": 4000},
}


def rule(name: str, **conditions: Any) -> dict[str, Any]:
    return {"retention_class": name, **conditions}


def retention(*rules: dict[str, Any], **settings: Any) -> Retention:
    return Retention.model_validate({"classes": CLASSES, "assign": list(rules), **settings})


# -- ages of one class


def test_presets_and_the_organisation_bound_every_class() -> None:
    found = retention(defaults={"min_age_days": 10, "max_age_days": 3000, "presets": []}).classes
    ages = {name: (item.min_age_days, item.max_age_days) for name, item in found.items()}
    assert ages == {
        "standard": (10, 365), "short": (10, 30), "pci": (366, 800), "personal": (10, 366), "health": (2192, 3000),
    }  # fmt: skip


def test_a_class_may_leave_its_maximum_to_the_organisation() -> None:
    found = Retention.model_validate({"classes": {"standard": {}}, "defaults": {"max_age_days": 700}})
    assert found.classes["standard"].max_age_days == 700
    with pytest.raises(ValidationError, match="standard: when does it go"):
        Retention.model_validate({"classes": {"standard": {"min_age_days": 5}}})


def test_the_storage_limit_is_the_organisations_to_say() -> None:
    assert retention(storage_limit_days=90).classes["personal"].max_age_days == 90
    both = {"standard": {"presets": ["gdpr-storage-limit", "hipaa"]}}
    with pytest.raises(
        ValidationError, match=r"must be kept 2192 days \(hipaa\) and gone after 366 \(gdpr-storage-limit\)"
    ):
        Retention.model_validate({"classes": both})
    longer = Retention.model_validate({"classes": both, "storage_limit_days": 2200}).classes["standard"]
    assert (longer.min_age_days, longer.max_age_days) == (2192, 2200)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("classes: {a: {max_age_days: 90, presets: [pci-dss-4]}}", r"366 days \(pci-dss-4\) and gone after 90 \(its"),
        ("classes: {a: {max_age_days: 5, min_age_days: 6}}", r"a: must be kept 6 days \(its min_age_days\)"),
        ("defaults: {min_age_days: 90}", r"short: must be kept 90 days \(retention.defaults\) and gone after 30"),
        ("classes: {a: {max_age_days: 90, presets: [nothing]}}", "no retention preset 'nothing'"),
        ("classes: {a+b: {max_age_days: 90}}", r"'a\+b' is no name for a class"),
        ("classes: {held: {max_age_days: 90}}", "this name is the store's"),
        ("classes: {a: {max_age_days: 999999999}}", "must be at most 365000"),
        ("assign: [{retention_class: gone}]", "rule 1: no class 'gone'; there are: short, standard"),
        ("assign: [{retention_class: short, environment: a, labels: {environment: b}}]", "contradict each other"),
        ("assign: [{retention_class: short, resource: '*pay'}]", "pattern"),
    ],
)  # fmt: skip
def test_settings_that_contradict_themselves_are_refused(text: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        parse_settings("retention: {" + text + "}")


def test_what_was_read_once_reads_the_same_again() -> None:
    found = retention(rule("pci", labels={"data": "cards"}), defaults={"min_age_days": 10}, storage_limit_days=500)
    assert Retention.model_validate(found.model_dump()) == found


# -- rules


RULES = (
    rule("pci", resource="shop-*", labels={"data": "cards"}),
    rule("personal", resource="shop-*", environment="production"),
    rule("short", resource="lab-1", protocol="http"),
    rule("health", resource="clinic-*"),
)


@pytest.mark.parametrize(
    ("resource", "protocol", "labels", "own", "found"),
    [
        ("shop-1", "http", {}, "standard", "standard"),
        ("shop-1", "http", {}, "short", "short"),
        ("shop-1", "http", {"data": "cards"}, "standard", "pci"),
        ("shop-1", "http", {"data": "none"}, "standard", "standard"),
        ("shop-1", "http", {"data": "cards", "environment": "production"}, "standard", "pci+personal"),
        ("shop-1", "http", {"environment": "production"}, "pci", "pci+personal"),
        ("shop", "http", {"environment": "production"}, "standard", "standard"),
        ("lab-1", "http", {"environment": "production"}, "standard", "short"),
        ("lab-1", "postgres", {}, "standard", "standard"),
        ("lab-12", "http", {}, "standard", "standard"),
        ("clinic-1", "tcp", {}, "standard", "health"),
        ("clinic-1", "tcp", {}, "gone", "gone+health"),
    ],
)  # fmt: skip
def test_every_rule_that_fits_counts(
    resource: str, protocol: str, labels: dict[str, str], own: str, found: str
) -> None:
    assert retention(*RULES).find_class(resource, protocol, labels, own) == found


def test_rules_that_can_meet_and_contradict_each_other_are_refused_by_name() -> None:
    with pytest.raises(
        ValidationError,
        match=r"rules 1 and 3 must be kept 366 days \(rule 1, class pci\) and gone after 30 \(rule 3, class short\)",
    ):
        retention(rule("pci", labels={"data": "cards"}), rule("personal"), rule("short", environment="test"))
    apart = retention(rule("pci", environment="production"), rule("short", environment="test"))
    assert apart.find_class("shop", "http", {"environment": "test"}) == "short"


def test_a_resources_own_class_may_not_contradict_a_rule() -> None:
    rules = retention(rule("pci", labels={"data": "cards"}))
    with pytest.raises(
        AgesConflict, match=r"366 days \(rule 1, class pci\) and gone after 30 \(its own retention_class"
    ):
        rules.find_class("shop", "http", {"data": "cards"}, "short")
    assert rules.find_class("shop", "http", {"data": "cards"}, "standard") == "pci"  # it named nothing


NAMES = ["", "a", "a-b", "a*", "a-*", "b*"]
VALUES = st.dictionaries(st.sampled_from(["environment", "data"]), st.sampled_from("xy"))
RULE = st.builds(
    lambda name, resource, protocol, labels: rule(name, resource=resource, protocol=protocol, labels=labels),
    st.sampled_from(sorted(CLASSES)), st.sampled_from(NAMES), st.sampled_from(["", "http", "tcp"]), VALUES,
)  # fmt: skip


@given(st.lists(RULE, max_size=5))
def test_rules_that_were_taken_never_contradict_each_other_on_any_resource(rules: list[dict[str, Any]]) -> None:
    try:
        found = retention(*rules)
    except ValidationError:
        return
    for name, protocol in itertools.product(["a", "a-b", "a-c", "b", "c"], ["http", "tcp"]):
        for environment, data in itertools.product(["", "x", "y"], repeat=2):
            labels = {key: value for key, value in (("environment", environment), ("data", data)) if value}
            ages = found.ages[found.find_class(name, protocol, labels)]
            fitting = [item for item in found.assign if item.matches(name, protocol, labels)]
            named = [found.classes[item.retention_class] for item in fitting] or [found.classes["standard"]]
            assert ages.min_age_days == max(item.min_age_days for item in named)
            assert ages.max_age_days == min(item.max_age_days for item in named) >= ages.min_age_days


@given(RULE, RULE)
def test_two_rules_may_meet_if_some_resource_fits_both(first: dict[str, Any], second: dict[str, Any]) -> None:
    one, other = Assignment.model_validate(first), Assignment.model_validate(second)
    resources = itertools.product(
        ["a", "a-b", "a-c", "b", "c"], ["http", "tcp", "postgres"], ["", "x", "y"], ["", "x", "y"]
    )
    meet = any(
        one.matches(name, protocol, labels) and other.matches(name, protocol, labels)
        for name, protocol, environment, data in resources
        for labels in [{"environment": environment, "data": data}]
    )
    assert one.may_meet(other) == other.may_meet(one) == meet


def test_ages_and_rules_are_told_in_words_for_the_trail() -> None:
    facts = retention(rule("pci", resource="shop-*", labels={"data": "cards"})).describe()
    assert facts["retention.class.pci"] == "366-800 days pci-dss-4" and facts["retention.class.short"] == "0-30 days"
    assert facts["retention.rule.1"] == '{"retention_class":"pci","resource":"shop-*","labels":{"data":"cards"}}'
    assert len(facts) == len(CLASSES) + 1
