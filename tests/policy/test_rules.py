import pytest

from policy.model import MaskObligation, Operation, TypedMask, Unreadable
from policy.rules import check_rules, parse_rules
from schemas.errors import ConfigError
from schemas.events import Verdict


def test_rules_from_yaml():
    rules = parse_rules("rules:\n- id: a\n  hold: {operations: [delete], resources: ['prod-*']}\n  reason: careful\n")
    assert rules.rules[0].verdict is Verdict.HOLD
    assert rules.rules[0].match.operations == (Operation.DELETE,)
    assert parse_rules("").rules == ()


def test_all_faults_are_named_at_once():
    with pytest.raises(ConfigError) as error:
        check_rules({"rules": [{"id": "A b", "deny": {}}, {"id": "b", "deny": {"operations": ["fly"]}}], "colour": 1})
    message = str(error.value)
    assert all(part in message for part in ("rules.0.id", "rules.1.deny.operations.0", "colour"))


@pytest.mark.parametrize(
    "rules",
    [[{"id": "a"}], [{"id": "a", "deny": {}, "allow": {}}], [{"id": "a", "deny": {}}, {"id": "a", "allow": {}}]],
)
def test_one_verdict_a_rule_and_one_rule_an_id(rules):
    with pytest.raises(ConfigError):
        check_rules({"rules": rules})


def test_a_document_that_is_no_mapping_is_refused():
    with pytest.raises(ConfigError):
        parse_rules("[1, 2]")


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"rules": [{"id": "a", "deny": {}, "record": "request"}]}, "policy.yaml: rules.0.record"),
        ({"rules": [{"id": "a", "mask": {}, "mask_labels": ["email"]}]}, "policy.yaml: rules.0.mask_labels"),
        ({"retention": [{"resources": ["*"], "retention_class": "short"}]}, "policy.yaml: retention"),
    ],
)
def test_a_setting_that_nothing_applies_is_refused(document, place):
    with pytest.raises(ConfigError, match=f"{place}: Extra inputs are not permitted"):
        check_rules(document, "policy.yaml")


def test_what_a_mask_rule_asks_for():
    text = """
rules:
- id: pii
  mask:
    objects: [customers]
    values: {labels: [email], columns: [ssn, "*.salary"], typed: null, unreadable: relay}
- {id: rest, mask: {}}
- {id: zero, mask: {values: {typed: stand_in}}}
"""
    first, rest, zero = (rule.mask.values.as_obligation() for rule in parse_rules(text).rules)
    assert first == MaskObligation(("email",), ("ssn", "*.salary"), TypedMask.NULL, Unreadable.RELAY)
    assert rest == MaskObligation()
    assert zero.typed is TypedMask.STAND_IN


@pytest.mark.parametrize("values", [{"typed": "zero"}, {"unreadable": "maybe"}, {"fields": ["a"]}])
def test_a_mask_rule_takes_nothing_else(values):
    with pytest.raises(ConfigError, match=f"rules.0.mask.values.{next(iter(values))}"):
        check_rules({"rules": [{"id": "a", "mask": {"values": values}}]})
