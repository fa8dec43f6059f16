"""Who may act for whom, by policy."""

from typing import Any

import pytest

from policy.cedar_policies import load_policies
from policy.delegations import WAITS, DelegationFacts, decide_delegation
from policy.model import History

RULES = """
@id("statements") permit (principal, action == Action::"read", resource);
@id("planners") permit (principal in Group::"developers", action == Action::"delegate", resource)
when { context.agent == Agent::"planner" && context.ttl_s <= 3600 };
@id("hand-on") permit (principal, action == Action::"delegate", resource)
when { context.after == "planner" && context.chain < 2 };
@id("robots") permit (principal, action == Action::"delegate", resource in Label::"tier=test")
when { context.workload like "system:*" && !context.person };
@id("nights") @reason("nobody hands out production at night")
forbid (principal, action == Action::"delegate", resource in Environment::"production") when { context.hour < 6 };
"""
POLICIES = load_policies({"p": RULES})
ANN: dict[str, Any] = {"principal": "ann", "agent": "planner", "resource": "db", "groups": ("developers",),
                       "is_person": True, "ttl_s": 3600, "when": History(12, 1)}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "by"),
    [
        ({}, ("planners",)),
        ({"ttl_s": 3601}, ()),
        ({"agent": "executor"}, ()),
        ({"groups": ()}, ()),
        ({"agent": "executor", "after": "planner", "chain": 1}, ("hand-on",)),
        ({"agent": "executor", "after": "planner", "chain": 2}, ()),
        ({"agent": "bot", "workload": "system:sa:bot", "is_person": False}, ()),
        ({"agent": "bot", "workload": "system:sa:bot", "is_person": False, "labels": (("tier", "test"),)}, ("robots",)),
        ({"labels": (("environment", "production"),), "when": History(3, 1)}, None),
        ({"labels": (("environment", "production"),)}, ("planners",)),
    ],
)
def test_a_delegation_is_permitted_or_it_is_not(change: dict[str, Any], by: tuple[str, ...] | None) -> None:
    decision = decide_delegation(DelegationFacts(**(ANN | change)), POLICIES)
    assert decision is not None and decision.version == POLICIES.version
    if by is None:
        assert (decision.verdict.value, decision.policy_ids) == ("deny", ("nights",))
        assert "at night" in decision.reason
    else:
        assert (decision.verdict.value, decision.policy_ids) == ("allow" if by else "deny", by)


def test_until_a_policy_names_it_policies_say_nothing() -> None:
    for text in ("permit (principal, action, resource);", 'forbid (principal, action == Action::"read", resource);'):
        assert decide_delegation(DelegationFacts(**ANN), load_policies({"p": text})) is None


def test_what_is_for_every_action_is_for_this_one_too() -> None:
    text = """@id("all") permit (principal, action, resource) unless { context.operation == "delete" };
    @id("eve") forbid (principal == Principal::"eve", action, resource);
    @id("one") permit (principal, action == Action::"delegate", resource == Resource::"x");"""
    policies = load_policies({"p": text})
    decision = decide_delegation(DelegationFacts(**ANN), policies)
    assert decision is not None and decision.policy_ids == ("all",)
    decision = decide_delegation(DelegationFacts(**(ANN | {"principal": "eve"})), policies)
    assert decision is not None and (decision.verdict.value, decision.policy_ids) == ("deny", ("eve",))


def test_nobody_is_asked_about_a_delegation() -> None:
    policies = load_policies({"p": '@approval("ask") permit (principal, action, resource);' + RULES})
    decision = decide_delegation(DelegationFacts(**ANN), policies)
    assert decision is not None and (decision.verdict.value, decision.reason) == ("deny", WAITS)


def test_without_any_policy_for_it_the_default_holds() -> None:
    policies = load_policies({"p": RULES}, default="allow")
    decision = decide_delegation(DelegationFacts(**(ANN | {"agent": "other"})), policies)
    assert decision is not None and (decision.verdict.value, decision.policy_ids) == ("allow", ())
