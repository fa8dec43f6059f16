import logging

import pytest

from policy.decide import CedarEngine, load_engine
from policy.live import LiveEngine
from schemas.events import Verdict
from tests.policy.test_decide import facts

DENY = {"p": {"cedar": "forbid (principal, action, resource);"}}


def test_control_replaces_what_decides_and_its_absence_restores_the_fallback() -> None:
    engine = LiveEngine(load_engine())
    first = engine.version
    assert engine.decide(facts("SELECT 1")).verdict is Verdict.ALLOW
    assert engine.replace(DENY)
    assert engine.version != first
    assert engine.decide(facts("SELECT 1")).verdict is Verdict.DENY
    assert not engine.replace(DENY)
    assert engine.replace({})
    assert engine.version == first
    assert isinstance(engine._fallback, CedarEngine)


def test_what_does_not_load_leaves_what_is_in_force(caplog: pytest.LogCaptureFixture) -> None:
    engine = LiveEngine(load_engine())
    engine.replace(DENY)
    with caplog.at_level(logging.ERROR):
        assert not engine.replace({"p": {"cedar": "permit (nonsense"}})
        assert not engine.replace({"p": {"cedar": "permit (principal, action, resource) when { context.no };"}})
    assert engine.decide(facts("SELECT 1")).verdict is Verdict.DENY
    assert "do not load" in caplog.text


def test_what_decisions_hang_on_is_that_of_the_policies_in_force() -> None:
    engine = LiveEngine(load_engine())
    engine.replace({"p": {"cedar": "permit (principal, action, resource) when { context.hour > 1 };"}})
    assert engine.volatile == {"hour"}
    assert not engine.may_mask
    engine.replace({"p": {"cedar": "@mask permit (principal, action, resource);"}})
    assert engine.volatile == frozenset() and engine.may_mask
