"""The gate asks policy, remembers its rulings, and takes nothing for a read that is not surely one."""

from types import SimpleNamespace
from typing import Any

import pytest

from ingest.gate import Gate
from policy.cedar_policies import load_policies
from policy.decide import CedarEngine, load_engine
from policy.live import LiveEngine
from policy.model import ActionFacts, Decision
from schemas.events import SessionContext
from schemas.resources import Resource

RESOURCE = Resource.model_validate(
    {"name": "db", "protocol": "postgres", "listen": 1, "upstream": {"host": "h", "port": 1}}
)


class CountingEngine:
    """A live engine, counting how often it is asked."""

    def __init__(self, engine: LiveEngine) -> None:
        self.asked: list[ActionFacts] = []
        self._engine = engine
        self.version = engine.version
        self.volatile = engine.volatile

    def replace(self, cedar: str) -> None:
        self._engine.replace({"p": {"cedar": cedar}})
        self.version, self.volatile = self._engine.version, self._engine.volatile

    def decide(self, action: ActionFacts) -> Decision:
        self.asked.append(action)
        return self._engine.decide(action)


def counting() -> CountingEngine:
    return CountingEngine(LiveEngine(load_engine()))


def session(agent: str = "planner", id: str = "s", resource: Resource = RESOURCE, **attributes: str) -> Any:
    context = SessionContext(id, "ann", agent, resource=resource.name, source_ip="127.0.0.1", attributes=attributes)
    return SimpleNamespace(context=context, resource=resource)


def gate_of(cedar: str) -> Gate:
    return Gate(CedarEngine(load_policies({"p": cedar})), "postgres")


@pytest.mark.parametrize(
    ("statement", "is_write"),
    [
        ("SELECT 1", False),
        ("INSERT INTO t VALUES (1)", True),
        ("WITH x AS (DELETE FROM t RETURNING 1) SELECT * FROM x", True),
        ("this is no SQL", True),
        ("COMMIT", True),
        ("", False),
    ],
)
def test_only_a_sure_read_is_no_write(statement: str, is_write: bool) -> None:
    assert Gate(load_engine(), "postgres").rule(session(), statement).is_write is is_write


def test_what_was_cut_is_unknown() -> None:
    ruling = Gate(load_engine(), "postgres").rule(session(), "SELECT 1", is_whole=False)
    assert (ruling.operation, ruling.is_write) == ("unknown", True)


def test_rulings_are_remembered_by_shape_and_by_who_acts_on_what() -> None:
    engine = counting()
    gate = Gate(engine, "postgres")
    for number in range(5):
        gate.rule(session(), f"SELECT * FROM t WHERE a = {number}")
    assert len(engine.asked) == 1
    gate.rule(session("another"), "SELECT * FROM t WHERE a = 9")
    gate.rule(session(groups="admins,staff"), "SELECT * FROM t WHERE a = 9")
    gate.rule(session(resource=RESOURCE.model_copy(update={"name": "other"})), "SELECT * FROM t WHERE a = 9")
    assert [(facts.agent, facts.resource) for facts in engine.asked] == [
        ("planner", "db"), ("another", "db"), ("planner", "db"), ("planner", "other"),
    ]  # fmt: skip
    assert engine.asked[2].groups == ("admins", "staff")


def test_a_change_of_policy_holds_for_the_next_statement() -> None:
    engine = counting()
    gate = Gate(engine, "postgres")
    assert not gate.rule(session(), "SELECT 1").is_refused
    engine.replace("forbid (principal, action, resource);")
    assert gate.rule(session(), "SELECT 1").is_refused
    engine.replace("permit (principal, action, resource);")
    assert not gate.rule(session(), "SELECT 1").is_refused


def test_a_decision_is_recorded_with_policies_and_version() -> None:
    ruling = gate_of('@id("a") @notify("soc") permit (principal, action, resource);').rule(session(), "SELECT 1")
    assert ruling.attributes["policy.ids"] == "a"
    assert ruling.attributes["policy.notify"] == "soc"
    assert len(ruling.attributes["policy.version"]) == 12


@pytest.mark.parametrize("attribute", ["actions", "distinct_objects"])
def test_policies_see_what_the_session_has_done(attribute: str) -> None:
    gate = gate_of(f"permit (principal, action, resource) when {{ context.{attribute} < 3 }};")
    one, other = session(id="1"), session(id="2")
    rulings = [gate.rule(one, f"SELECT * FROM t{number}").is_refused for number in range(4)]
    assert rulings == [False, False, True, True]
    assert not gate.rule(other, "SELECT * FROM t0").is_refused


def test_rows_and_denials_count() -> None:
    gate = gate_of("permit (principal, action, resource) when { context.rows_read < 10 };")
    one = session()
    assert not gate.rule(one, "SELECT 1").is_refused
    gate.completed(one, 10)
    assert gate.rule(one, "SELECT 1").is_refused
    gate = gate_of('permit (principal, action == Action::"read", resource) when { context.denials < 2 };')
    assert [gate.rule(one, text).is_refused for text in ("SELECT 1", "DROP TABLE t", "DROP TABLE t", "SELECT 1")] == [
        False, True, True, True,
    ]  # fmt: skip


def test_the_source_counts_when_a_policy_asks_for_it() -> None:
    gate = gate_of("permit (principal, action, resource) when { context.source.isLoopback() };")
    near, far = session(), session()
    far.context.source_ip = "192.0.2.1"
    assert [gate.rule(each, "SELECT 1").is_refused for each in (near, far, near)] == [False, True, False]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(load_engine(), "postgres")
    monkeypatch.setattr(Gate, "MAX_REMEMBERED", 50)
    for number in range(60):
        gate.rule(session(f"agent-{number}"), "SELECT 1")
    assert len(gate._remembered) <= 50
    gate = gate_of("permit (principal, action, resource) when { context.actions < 3 };")
    monkeypatch.setattr(Gate, "MAX_SESSIONS", 10)
    for number in range(30):
        gate.rule(session(id=str(number)), "SELECT 1")
    assert len(gate._past) <= 10


@pytest.mark.parametrize(
    ("cedar", "verdict", "told"),
    [
        ('@reason("fine") permit', "allow", "fine"),
        ('@reason("no") forbid', "deny", "no"),
        ("forbid", "deny", ""),
        ('@approval("ask") permit', "hold", "ask: held actions need an approval, and approvals are not available yet"),
        (
            '@mask("email") @reason("pii") permit',
            "mask",
            "pii: the answer would have to be masked, and inline masking is not available yet",
        ),
        ('@limit_rows("5") permit', "allow", "the answer would have to be limited, and limits are not available yet"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_and_says_why(cedar: str, verdict: str, told: str) -> None:
    ruling = gate_of(f"{cedar} (principal, action, resource);").rule(session(), "SELECT 1")
    assert (ruling.verdict, ruling.reason) == (verdict, told)
    assert ruling.is_refused == (told not in ("fine",))
