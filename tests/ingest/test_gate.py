"""The gate asks policy, remembers its rulings, and takes nothing for a read that is not surely one."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from ingest.gate import LIMITED, REFUSED, Gate, SessionGate
from ingest.masks import Masks
from masking.inline.model import MaskOrder
from policy.cedar_policies import load_policies
from policy.decide import CedarEngine, load_engine
from policy.live import LiveEngine
from policy.model import ActionFacts, ApprovalObligation, Decision
from schemas.events import SessionContext, Verdict
from schemas.resources import Resource
from schemas.runtime import Home

UNMASKED = "the answer would have to be masked, but what is said in this protocol is not understood"

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
        self.may_mask = engine.may_mask

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


def engine_of(cedar: str) -> CedarEngine:
    return CedarEngine(load_policies({"p": cedar}))


def gate_of(cedar: str) -> Gate:
    return Gate(engine_of(cedar), "postgres")


def mask_gate(annotations: str, masks: Masks, dialect: str = "http") -> Gate:
    return Gate(engine_of(f"{annotations} permit (principal, action, resource);"), dialect, masks)


@pytest.fixture(scope="module")
def masks(secrets_home: Home) -> Masks:
    masks = Masks(secrets_home, "file:token.key")
    asyncio.run(masks.prepare(engine_of("@mask permit (principal, action, resource);")))
    return masks


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


def test_a_long_shape_is_not_remembered_and_ruled_alike() -> None:
    engine = counting()
    gate = Gate(engine, "postgres")
    statement = f"SELECT {' ' * Gate.MAX_CHARS} 1"
    assert gate.rule(session(), statement).shape == gate.rule(session(), statement).shape == statement
    assert (len(engine.asked), len(gate._remembered)) == (2, 0)


def test_a_ruling_on_one_resource_is_none_on_another() -> None:
    """Two resources may have one upstream, and so the same statements."""
    cedar = 'permit (principal, action, resource); forbid (principal, action, resource in Label::"tier=gold");'
    gate = Gate(engine_of(cedar), "http")
    plain, gold = (RESOURCE.model_copy(update={"labels": labels}) for labels in ({}, {"tier": "gold"}))
    for _ in range(2):
        assert not gate.rule(session(resource=plain), "GET http://h/a").is_refused
        assert gate.rule(session(resource=gold), "GET http://h/a").is_refused


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


def test_what_a_resource_is_labelled_as_sensitive_counts() -> None:
    gate = gate_of('forbid (principal, action, resource) when { context.sensitivity.contains("pii") };'
                   "permit (principal, action, resource);")  # fmt: skip
    labelled = RESOURCE.model_copy(update={"labels": {"sensitivity": "health, pii"}})
    assert gate.rule(session(resource=labelled), "SELECT 1").is_refused
    assert not gate.rule(session(), "SELECT 1").is_refused


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
        ('@approval("ask") @limit_rows("5") permit', "hold", f"ask: {LIMITED}"),
        ('@approval("ask") @mask permit', "hold", f"ask: {UNMASKED}"),
        ('@mask("email") @reason("pii") permit', "mask", f"pii: {UNMASKED}"),
        ("@mask permit", "mask", UNMASKED),
        ('@mask @limit_rows("5") permit', "mask", LIMITED),
        ('@limit_rows("5") permit', "allow", LIMITED),
    ],
)
def test_what_cannot_be_carried_out_is_refused_and_says_why(cedar: str, verdict: str, told: str) -> None:
    ruling = gate_of(f"{cedar} (principal, action, resource);").rule(session(), "SELECT 1")
    assert (ruling.verdict, ruling.reason) == (verdict, told)
    assert ruling.is_refused == (told not in ("fine",))


def test_a_held_action_is_refused_until_it_is_approved(masks: Masks) -> None:
    gate = mask_gate('@approval("ask; approvers=2; within=5") @mask("columns=pay")', masks)
    ruling = gate.rule(session(), "GET /pay")
    assert (ruling.verdict, ruling.is_refused, ruling.approval) == ("hold", True, ApprovalObligation("ask", 2, 5))
    assert ruling.mask is not None and ruling.reason == "ask"
    refused = ruling.refused_for("nobody can see it")
    assert (refused.is_refused, refused.approval, refused.reason) == (True, None, "ask: nobody can see it")


def test_where_nothing_can_wait_a_hold_is_a_refusal() -> None:
    engine = engine_of('@approval("ask") permit (principal, action, resource);')
    ruling = Gate(engine, "tcp", can_hold=False).rule(session(), "TUNNEL h:1")
    assert (ruling.is_refused, ruling.approval) == (True, None)
    assert ruling.reason == f"ask: {REFUSED[Verdict.HOLD]}"


def test_a_hold_is_a_denial_only_when_it_was_not_approved() -> None:
    gate = gate_of("""@approval permit (principal, action == Action::"delete", resource);
        permit (principal, action == Action::"read", resource) when { context.denials < 1 };""")
    one = SessionGate(gate, session())
    assert one.rule("DELETE FROM t WHERE a = 1", True).approval is not None
    assert not one.rule("SELECT 1", True).is_refused
    one.refused()
    assert one.rule("SELECT 1", True).is_refused


def test_a_mask_is_carried_out_where_answers_can_be_masked(masks: Masks) -> None:
    gate = mask_gate('@mask("columns=pay") @reason("pii")', masks)
    ruling = gate.rule(session(), "GET /pay")
    assert (ruling.verdict, ruling.is_refused, ruling.reason) == ("mask", False, "pii")
    assert ruling.mask is not None and ruling.mask.order == MaskOrder(columns=("pay",))
    assert ruling.attributes["policy.mask"] == "*; columns=pay"
    assert gate.rule(session("other"), "GET /pay").mask is ruling.mask


def test_what_turns_out_not_to_be_maskable_is_refused(masks: Masks) -> None:
    ruling = mask_gate('@mask @reason("pii")', masks).rule(session(), "GET /pay").without_mask("it is binary")
    assert (ruling.is_refused, ruling.mask) == (True, None)
    assert ruling.reason == "pii: the answer would have to be masked, but it is binary"


def test_a_mask_with_a_limit_is_refused_for_the_limit(masks: Masks) -> None:
    ruling = mask_gate('@mask @limit_rows("5")', masks).rule(session(), "GET /pay")
    assert (ruling.is_refused, ruling.mask, ruling.reason) == (True, None, LIMITED)


def test_a_limit_is_carried_out_where_rows_are_known(masks: Masks) -> None:
    engine = engine_of("""@limit_rows("5") permit (principal, action, resource);
        @limit_rows("7") @approval("ask") permit (principal, action == Action::"delete", resource);""")
    gate = Gate(engine, "postgres", masks, can_limit=True)
    read = gate.rule(session(), "SELECT 1")
    assert (read.verdict, read.is_refused, read.row_limit) == ("allow", False, 5)
    held = gate.rule(session(), "DELETE FROM t RETURNING a")
    assert (held.verdict, held.row_limit, held.approval) == ("hold", 5, ApprovalObligation("ask"))


def test_a_mask_that_nothing_can_carry_out_is_refused(masks: Masks) -> None:
    ruling = mask_gate('@mask("nonsense")', masks).rule(session(), "GET /pay")
    assert ruling.is_refused and ruling.reason.endswith("but no detector has the label nonsense")


def test_while_maskers_are_made_a_mask_is_refused_and_not_for_good(secrets_home: Home) -> None:
    masks = Masks(secrets_home, "file:token.key")
    gate = mask_gate("@mask", masks)
    one = SessionGate(gate, session())
    assert one.rule("GET /pay", True).is_refused and gate.rule(session(), "GET /pay").is_refused
    assert "try again" in one.rule("GET /pay", True).reason
    asyncio.run(masks.prepare(gate.engine))
    assert not one.rule("GET /pay", True).is_refused and not gate.rule(session(), "GET /pay").is_refused


def test_an_engine_that_does_not_say_what_to_mask_is_refused(masks: Masks) -> None:
    class Vague:
        version, volatile, may_mask = "1", frozenset[str](), True

        def decide(self, action: ActionFacts) -> Decision:
            return Decision(Verdict.MASK, ("a",), "")

    ruling = Gate(Vague(), "http", masks).rule(session(), "GET /pay")
    assert ruling.is_refused and "policy does not say what of it" in ruling.reason


def test_a_session_finds_a_statement_by_its_shape() -> None:
    engine = counting()
    gate = SessionGate(Gate(engine, "postgres"), session())
    rulings = [gate.rule(f"SELECT * FROM t1 WHERE a = {number}", True) for number in range(200)]
    assert len({id(ruling) for ruling in rulings}) == len(gate._shapes) == 1
    assert rulings[0].shape == "SELECT * FROM t1 WHERE a = 0"
    assert gate.rule("SELECT * FROM t2 WHERE a = 1", True) is not rulings[0]
    for number in range(2 * SessionGate.MAX_SHAPES):
        gate.rule(f"SELECT * FROM t{number}", True)
    assert len(gate._shapes) <= SessionGate.MAX_SHAPES


def test_a_session_finds_a_repeated_statement_by_its_text() -> None:
    engine = counting()
    gate = SessionGate(Gate(engine, "postgres"), session())
    ruling = gate.rule("SELECT 1", True)
    assert gate.rule("SELECT 1", True) is ruling
    assert gate.rule("SELECT 1", False).operation == "unknown"
    engine.replace("forbid (principal, action, resource);")
    assert gate.rule("SELECT 1", True).is_refused
    engine.replace("permit (principal, action, resource);")
    assert not gate.rule("SELECT 1", True).is_refused


def test_a_session_remembers_no_text_while_policies_look_at_its_past() -> None:
    engine = counting()
    gate = SessionGate(Gate(engine, "postgres"), session())
    assert not gate.rule("SELECT 1", True).is_refused
    engine.replace("permit (principal, action, resource) when { context.actions < 3 && context.rows_read < 10 };")
    assert [gate.rule("SELECT 1", True).is_refused for _ in range(4)] == [False, False, True, True]
    again = SessionGate(Gate(engine, "postgres"), session())
    assert not again.rule("SELECT 1", True).is_refused
    again.completed(10)
    assert again.rule("SELECT 1", True).is_refused
    engine.replace("permit (principal, action, resource);")
    assert not gate.rule("SELECT 1", True).is_refused
    assert gate.rule("SELECT 1", True) is gate.rule("SELECT 1", True)


def test_a_policy_may_look_at_the_step_that_is_claimed() -> None:
    gate = gate_of(
        """@id("third") permit (principal, action == Action::"read", resource) when { context.step == "3" };"""
    )
    assert gate.looks_at_step and not gate_of("permit (principal, action, resource);").looks_at_step
    for statement, step, verdict in (
        ("SELECT 1", None, "deny"),
        ("SELECT 1 /*custody_plan_step='3'*/", None, "allow"),
        ("SELECT 1 /*custody_plan_step='2'*/", None, "deny"),
        ("SELECT 1 /*custody_plan_step='3'*/", "2", "deny"),
        ("SELECT 1", "3", "allow"),
    ):
        assert gate.rule(session(), statement, step=step).verdict == verdict, (statement, step)
    assert SessionGate(gate, session()).rule("SELECT 1 /*custody_plan_step='3'*/", True).verdict == "allow"
    assert SessionGate(gate, session()).rule("SELECT 1 /*custody_plan_step='3'*/", False).verdict == "deny"
