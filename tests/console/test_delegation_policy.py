"""Which of the resources that somebody may have policies let them have."""

from types import SimpleNamespace
from typing import Any

import pytest

from console.delegation import NotGranted
from console.delegation_policy import Wanted, permit, policies_in_force
from policy.cedar_policies import load_policies
from schemas.config import Settings
from schemas.events import ControlKind
from schemas.resources import Resource

TEXT = """@id("test") permit (principal, action == Action::"delegate", resource in Label::"tier=test");
@id("never") @reason("retired") forbid (principal, action == Action::"delegate", resource == Resource::"old");"""
POLICIES = load_policies({"p": TEXT})
WANTED = Wanted("ann", "planner")


def resource(name: str, tier: str) -> Resource:
    values = {"name": name, "protocol": "postgres", "listen": 1, "upstream": {"host": "h", "port": 1}}
    return Resource.model_validate(values | {"labels": {"tier": tier}})


KNOWN = {"one": resource("one", "test"), "two": resource("two", "live"), "old": resource("old", "test")}


def test_what_was_not_named_is_narrowed() -> None:
    found = permit(WANTED, list(KNOWN), KNOWN, POLICIES, is_exact=False)
    assert (found.resources, found.facts) == (
        ("one",), {"policy.ids": "test", "policy.version": POLICIES.version},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["one", "two"], "policy does not let planner act for ann on two: no policy allows delegate (no policy)"),
        (["old"], "policy does not let planner act for ann on old: retired (never)"),
    ],
)
def test_what_was_named_is_all_or_nothing(names: list[str], told: str) -> None:
    with pytest.raises(NotGranted) as caught:
        permit(WANTED, names, KNOWN, POLICIES, is_exact=True)
    assert str(caught.value) == told


def test_nothing_left_is_a_refusal() -> None:
    with pytest.raises(NotGranted, match="on two"):
        permit(WANTED, ["two"], KNOWN, POLICIES, is_exact=False)


def test_where_no_policy_speaks_of_it_all_stay() -> None:
    view: Any = SimpleNamespace(all=lambda kind: {})
    found = permit(WANTED, ["two"], KNOWN, policies_in_force(view, Settings()), is_exact=True)
    assert (found.resources, found.facts) == (("two",), {})
    held = {"mine": {"cedar": TEXT}}
    view = SimpleNamespace(all=lambda kind: held if kind is ControlKind.POLICY else {})
    assert set(policies_in_force(view, Settings()).policies) == {"test", "never"}
