"""Every rule ships with cases, hit and miss, and passes them, also when its state is saved at every step."""

import importlib
import json
from types import ModuleType

import pytest

from processors.detection.catalog import RULES
from processors.detection.rule import Case, Rule


def module_of(rule: Rule) -> ModuleType:
    return importlib.import_module(type(rule).__module__)


CASES = [(rule, case) for rule in RULES for case in (*module_of(rule).HITS, *module_of(rule).MISSES)]


@pytest.mark.parametrize(("rule", "case"), CASES, ids=[f"{rule.id}: {case.name}" for rule, case in CASES])
def test_case(rule: Rule, case: Case) -> None:
    state = rule.start()
    matched = []
    for index, fact in enumerate(case.facts):
        if rule.step(state, fact) is not None:
            matched.append(index)
        state = json.loads(json.dumps(state))
    assert tuple(matched) == case.matches_at


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_metadata(rule: Rule) -> None:
    module = module_of(rule)
    assert rule.description and rule.version and rule.severity
    assert len(module.HITS) >= 2 and len(module.MISSES) >= 2
    assert all(case.matches_at for case in module.HITS) and not any(case.matches_at for case in module.MISSES)
    assert len({rule.id for rule in RULES}) == len(RULES)
