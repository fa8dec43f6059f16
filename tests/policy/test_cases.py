import pytest

from policy.cases import read_cases, run_cases
from policy.cedar_policies import load_policies
from policy.decide import read_policy_file
from schemas.errors import ConfigError

POLICIES = load_policies(
    {"p": '@id("reads") permit (principal, action == Action::"read", resource) when { context.denials < 3 };'}
)


def run(text: str) -> list[str]:
    return [str(outcome) for outcome in run_cases(read_cases(text, "x"), POLICIES) if not outcome.is_as_expected]


def test_cases_that_hold_and_cases_that_do_not() -> None:
    assert run("cases: [{name: a, statement: SELECT 1, expect: allow, policies: [reads]}]") == []
    assert run("cases: [{name: a, statement: SELECT 1, expect: deny, past: {denials: 3}}]") == []
    assert run("cases: [{name: a, statement: SELECT 1, expect: deny}]") == ["a: allow by reads, expected deny"]
    assert run("cases: [{name: a, statement: DROP TABLE t, expect: deny, policies: [x]}]") == [
        "a: deny by no policy, expected deny by x"
    ]


def test_delegations_have_cases_too() -> None:
    cedar = """@id("own") permit (principal, action == Action::"delegate", resource)
    when { context.person && context.chain == 0 };"""
    text = """cases:
    - {name: a person, delegation: {person: true}, expect: allow, policies: [own]}
    - {name: an agent, delegation: {after: planner, chain: 1}, expect: deny, policies: []}
    - {name: a wrong one, delegation: {person: false}, expect: allow}"""
    outcomes = list(run_cases(read_cases(text, "x"), load_policies({"p": cedar})))
    assert [outcome.is_as_expected for outcome in outcomes] == [True, True, False]
    assert str(outcomes[2]) == "a wrong one: deny by no policy, expected allow"


@pytest.mark.parametrize(
    "text",
    [
        "cases: [{name: a, expect: deny}]",
        "cases: [{name: a, statement: SELECT 1, delegation: {}, expect: deny}]",
        "cases: [{name: a, delegation: {chain: -1}, expect: deny}]",
        "cases: [{name: a, statement: SELECT 1, expect: maybe}]",
        "cases: [{name: a, statement: SELECT 1, expect: deny, dialect: klingon}]",
        "cases: [{name: a}]",
        "{}",
    ],
)
def test_malformed_cases_are_told(text: str) -> None:
    with pytest.raises(ConfigError):
        run(text)


def test_the_shipped_starter_policy_keeps_its_cases() -> None:
    from importlib.resources import files

    text = (files("policy") / "cedar" / "starter.cases.yaml").read_text("utf-8")
    outcomes = list(run_cases(read_cases(text, "starter"), load_policies(read_policy_file("starter"))))
    assert [str(outcome) for outcome in outcomes if not outcome.is_as_expected] == []
    assert {outcome.case.expect for outcome in outcomes} == {"allow", "hold", "deny"}
