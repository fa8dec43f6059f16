"""Who may open a session at all, by policy."""

from typing import Any

import pytest

from policy.cedar_policies import load_policies
from policy.connections import WAITS, decide_connection, rules_connections
from policy.decide import load_engine
from policy.model import ActionFacts, Classified, History, Operation

RULES = """
@id("reads") permit (principal, action == Action::"read", resource);
@id("office") permit (principal in Group::"staff", action == Action::"connect", resource)
when { context.source.isInRange(ip("10.0.0.0/8")) };
@id("nights") @reason("nobody connects at night")
forbid (principal, action == Action::"connect", resource in Environment::"production") when { context.hour < 6 };
@id("held") @approval("people must look") permit (principal == Principal::"eve", action == Action::"connect", resource);
"""
POLICIES = load_policies({"p": RULES})
ANN: dict[str, Any] = {
    "agent": "planner", "principal": "ann", "resource": "db", "protocol": "postgres", "groups": ("staff",),
    "classified": Classified(Operation.READ), "source": "10.1.2.3", "history": History(12, 1),
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "verdict", "told"),
    [
        ({}, "allow", ""),
        ({"source": "192.0.2.1"}, "deny", "no policy allows connect"),
        ({"groups": ()}, "deny", "no policy allows connect"),
        ({"labels": {"environment": "production"}}, "allow", ""),
        ({"labels": {"environment": "production"}, "history": History(3, 1)}, "deny", "nobody connects at night"),
        ({"principal": "eve", "groups": ()}, "deny", WAITS),
    ],
)
def test_a_connection_is_permitted_or_it_is_not(change: dict[str, Any], verdict: str, told: str) -> None:
    decision = decide_connection(ActionFacts(**(ANN | change)), POLICIES)
    assert (decision.verdict.value, decision.reason) == (verdict, told)
    assert decision.version == POLICIES.version


def test_only_a_policy_that_names_it_speaks_of_it() -> None:
    assert rules_connections(POLICIES)
    for text in ("permit (principal, action, resource);", 'forbid (principal, action == Action::"read", resource);'):
        assert not rules_connections(load_policies({"p": text}))


def test_the_starter_policy_lets_everybody_connect() -> None:
    starter = load_engine("starter").policies
    assert rules_connections(starter)
    assert decide_connection(ActionFacts(**(ANN | {"groups": ()})), starter).verdict.value == "allow"
