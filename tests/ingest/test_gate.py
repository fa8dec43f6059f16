"""The gate asks policy, remembers its rulings, and takes nothing for a read that is not surely one."""

from types import SimpleNamespace
from typing import Any

import pytest

from ingest.gate import Gate
from ingest.masks import Masks
from masking.inline.model import MaskOrder
from policy.decide import RuleEngine, load_engine
from policy.model import ActionFacts, Decision
from policy.rules import check_rules
from schemas.events import SessionContext, Verdict
from schemas.resources import Resource
from schemas.runtime import Home

UNMASKED = "the answer would have to be masked, but what is said in this protocol is not understood"


class CountingEngine:
    """The shipped policy, counting how often it is asked."""

    may_mask = False

    def __init__(self) -> None:
        self.asked: list[ActionFacts] = []
        self._engine = load_engine()

    def decide(self, action: ActionFacts) -> Decision:
        self.asked.append(action)
        return self._engine.decide(action)


@pytest.fixture(scope="module")
def masks(secrets_home: Home) -> Masks:
    return Masks(secrets_home, "file:token.key")


def make_resource(**settings: Any) -> Resource:
    upstream = {"host": "h", "port": 1}
    return Resource.model_validate(
        {"name": "db", "protocol": "postgres", "listen": 1, "upstream": upstream, **settings}
    )


DB = make_resource()


def session(agent: str = "planner", resource: Resource = DB) -> Any:
    return SimpleNamespace(context=SessionContext("s", "ann", agent, resource="db"), resource=resource)


@pytest.mark.parametrize(
    ("statement", "is_write"),
    [
        ("SELECT 1", False),
        ("INSERT INTO t VALUES (1)", True),
        ("WITH x AS (DELETE FROM t RETURNING 1) SELECT * FROM x", True),
        ("this is no SQL", True),
        ("", False),
    ],
)
def test_only_a_sure_read_is_no_write(statement: str, is_write: bool) -> None:
    assert Gate(load_engine(), "postgres").rule(session(), statement).is_write is is_write


def test_what_was_cut_is_unknown() -> None:
    ruling = Gate(load_engine(), "postgres").rule(session(), "SELECT 1", is_whole=False)
    assert (ruling.operation, ruling.is_write) == ("unknown", True)


def test_rulings_are_remembered_by_shape_and_by_who_acts() -> None:
    engine = CountingEngine()
    gate = Gate(engine, "postgres")
    for number in range(5):
        gate.rule(session(), f"SELECT * FROM t WHERE a = {number}")
    assert len(engine.asked) == 1
    gate.rule(session("another"), "SELECT * FROM t WHERE a = 9")
    assert [facts.agent for facts in engine.asked] == ["planner", "another"]


def test_a_ruling_on_one_resource_is_none_on_another() -> None:
    """Two resources may have one upstream, and so the same statements."""
    rules = check_rules({"rules": [{"id": "a", "deny": {"labels": {"tier": "gold"}}}]})
    gate = Gate(RuleEngine(rules), "http")
    plain, gold = make_resource(protocol="http"), make_resource(protocol="http", labels={"tier": "gold"})
    for _ in range(2):
        assert not gate.rule(session(resource=plain), "GET http://h/a").is_refused
        assert gate.rule(session(resource=gold), "GET http://h/a").is_refused


def test_memory_is_bounded() -> None:
    gate = Gate(load_engine(), "postgres")
    for number in range(Gate.MAX_REMEMBERED + 10):
        gate.rule(session(f"agent-{number}"), "SELECT 1")
    assert len(gate._remembered) <= Gate.MAX_REMEMBERED


@pytest.mark.parametrize(
    ("verdict", "reason", "is_refused", "told"),
    [
        ("allow", "fine", False, "fine"),
        ("deny", "no", True, "no"),
        ("deny", "", True, ""),
        ("hold", "ask", True, "ask: held actions need an approval, and approvals are not available yet"),
        ("hold", "", True, "held actions need an approval, and approvals are not available yet"),
        ("mask", "pii", True, f"pii: {UNMASKED}"),
        ("mask", "", True, UNMASKED),
    ],
)
def test_what_cannot_be_carried_out_is_refused_and_says_why(
    verdict: str, reason: str, is_refused: bool, told: str
) -> None:
    rules = check_rules({"rules": [{"id": "a", verdict: {}, "reason": reason}]})
    ruling = Gate(RuleEngine(rules), "postgres").rule(session(), "SELECT 1")
    assert (ruling.verdict, ruling.is_refused, ruling.reason) == (verdict, is_refused, told)
    assert ruling.attributes.get("policy.reason", "") == reason


def test_a_mask_is_carried_out_where_answers_can_be_masked(masks: Masks) -> None:
    rules = check_rules({"rules": [{"id": "a", "mask": {"values": {"columns": ["pay"]}}, "reason": "pii"}]})
    gate = Gate(RuleEngine(rules), "http", masks)
    ruling = gate.rule(session(), "GET /pay")
    assert (ruling.verdict, ruling.is_refused, ruling.reason) == ("mask", False, "pii")
    assert ruling.mask is not None and ruling.mask.order == MaskOrder(columns=("pay",))
    assert gate.rule(session("other"), "GET /pay").mask is ruling.mask


def test_a_mask_that_nothing_can_carry_out_is_refused(masks: Masks) -> None:
    rules = check_rules({"rules": [{"id": "a", "mask": {"values": {"labels": ["nonsense"]}}}]})
    ruling = Gate(RuleEngine(rules), "http", masks).rule(session(), "GET /pay")
    assert ruling.is_refused and ruling.reason.endswith("but no detector has the label nonsense")


def test_an_engine_that_does_not_say_what_to_mask_is_refused(masks: Masks) -> None:
    class Vague:
        may_mask = True

        def decide(self, action: ActionFacts) -> Decision:
            return Decision(Verdict.MASK, ("a",), "")

    ruling = Gate(Vague(), "http", masks).rule(session(), "GET /pay")
    assert ruling.is_refused and "policy does not say what of it" in ruling.reason
