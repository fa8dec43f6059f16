import pytest

from policy.classify import classify
from policy.decide import ActionFacts, RuleEngine, decide, load_engine
from policy.model import MaskObligation
from policy.rules import check_rules
from schemas.errors import ConfigError
from schemas.events import Verdict


def facts(statement, agent="planner", resource="prod-db", dialect="postgres", **more):
    return ActionFacts(
        agent=agent,
        principal="ann",
        resource=resource,
        protocol=dialect,
        classified=classify(dialect, statement),
        **more,
    )


def policy(*rules, **more):
    return check_rules({"rules": [{"id": f"r{i}", **rule} for i, rule in enumerate(rules)], **more})


def test_the_first_rule_that_matches_decides():
    rules = policy(
        {"allow": {"agents": ["migrator"], "operations": ["ddl"]}},
        {"deny": {"operations": ["ddl", "grant"]}, "reason": "no schema changes"},
    )
    assert decide(facts("DROP TABLE t", agent="migrator"), rules).verdict is Verdict.ALLOW
    denied = decide(facts("DROP TABLE t"), rules)
    assert (denied.verdict, denied.policy_ids, denied.reason) == (Verdict.DENY, ("r1",), "no schema changes")
    allowed = decide(facts("SELECT 1"), rules)
    assert (allowed.verdict, allowed.policy_ids) == (Verdict.ALLOW, ())


RESTRICTIONS = [
    ({"operations": ["write"]}, "INSERT INTO t VALUES (1)", True),
    ({"operations": ["write"]}, "WITH d AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM d", True),
    ({"operations": ["write"]}, "SELECT 1", False),
    ({"operations": ["write"]}, "COMMIT", False),
    ({"operations": ["read"]}, "not sql", True),
    ({"operations": ["delete"]}, "not sql", True),
    ({"objects": ["secrets"]}, "SELECT * FROM public.secrets", True),
    ({"objects": ["public.secrets"]}, "SELECT * FROM secrets", True),
    ({"objects": ["public.secrets"]}, "SELECT * FROM other.secrets", False),
    ({"objects": ["secret*"]}, 'SELECT * FROM "Secrets"', True),
    ({"objects": ["secrets"]}, "SELECT * FROM users", False),
    ({"objects": ["secrets"], "operations": ["write"]}, "SELECT * FROM secrets", False),
    ({"objects": ["pg_read_file()"]}, "SELECT pg_read_file('x')", True),
    ({"objects": ["users"], "operations": ["delete"]}, "DELETE FROM users", True),
    ({"has_where": False}, "DELETE FROM users", True),
    ({"has_where": False}, "DELETE FROM users WHERE id = 1", False),
    ({"has_where": False}, "SELECT 1", False),
    ({"is_multi": True}, "SELECT 1; SELECT 2", True),
    ({"is_unknown": True}, "not sql", True),
    ({"is_unknown": True}, "SELECT 1", False),
    ({"resources": ["prod-*"]}, "SELECT 1", True),
    ({"resources": ["dev-*"]}, "SELECT 1", False),
    ({"principals": ["bob"]}, "SELECT 1", False),
    ({"protocols": ["http"]}, "SELECT 1", False),
    ({"labels": {"environment": "production"}}, "SELECT 1", False),
]


@pytest.mark.parametrize(("match", "statement", "is_denied"), RESTRICTIONS)
def test_deny(match, statement, is_denied):
    verdict = decide(facts(statement), policy({"deny": match})).verdict
    assert verdict is (Verdict.DENY if is_denied else Verdict.ALLOW)


PERMISSIONS = [
    ({"operations": ["read"]}, "SELECT 1", True),
    ({"operations": ["read"]}, "INSERT INTO t VALUES (1)", False),
    ({"operations": ["write"]}, "INSERT INTO t SELECT * FROM u", True),
    ({"operations": ["write"]}, "WITH d AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM d", False),
    ({"operations": ["read"]}, "COMMIT", True),
    ({"objects": ["users"]}, "SELECT * FROM users", True),
    ({"objects": ["users"]}, "SELECT * FROM users, secrets", False),
    ({"objects": ["users"]}, "SELECT * FROM evil.users", False),
    ({"objects": ["*"]}, "not sql", False),
    ({"operations": ["read", "admin"]}, "not sql", False),
    ({"is_unknown": True}, "not sql", True),
    ({}, "not sql", True),
]


@pytest.mark.parametrize(("match", "statement", "is_allowed"), PERMISSIONS)
def test_allow(match, statement, is_allowed):
    verdict = decide(facts(statement), policy({"allow": match}, default="deny")).verdict
    assert verdict is (Verdict.ALLOW if is_allowed else Verdict.DENY)


def test_hold_and_mask_are_verdicts_of_rules():
    rules = policy({"hold": {"operations": ["delete"]}}, {"mask": {"objects": ["users"]}, "reason": "customer data"})
    assert decide(facts("DELETE FROM t WHERE a = 1"), rules).verdict is Verdict.HOLD
    masked = decide(facts("SELECT * FROM users"), rules)
    assert (masked.verdict, masked.reason) == (Verdict.MASK, "customer data")


def test_http_paths_are_objects():
    rules = policy({"deny": {"objects": ["*/admin/*"], "protocols": ["http"]}})
    assert decide(facts("GET https://a.example/admin/users", dialect="http"), rules).verdict is Verdict.DENY
    assert decide(facts("GET https://a.example/users", dialect="http"), rules).verdict is Verdict.ALLOW


def test_labels_must_all_hold():
    rules = policy({"deny": {"labels": {"environment": "production"}}})
    assert decide(facts("SELECT 1", labels={"environment": "production"}), rules).verdict is Verdict.DENY


def test_the_shipped_policy_allows():
    assert load_engine().decide(facts("DROP TABLE t")).verdict is Verdict.ALLOW


def test_an_engine_is_made_from_a_file(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("rules: [{id: a, deny: {operations: [ddl]}}]")
    engine = load_engine(str(path))
    assert isinstance(engine, RuleEngine)
    assert engine.decide(facts("DROP TABLE t")).verdict is Verdict.DENY
    with pytest.raises(ConfigError, match="policy_file"):
        load_engine(str(tmp_path / "none.yaml"))


def test_a_mask_comes_with_what_it_demands_and_no_other_verdict_does():
    rules = policy({"mask": {"objects": ["customers"], "values": {"labels": ["email"]}}}, {"hold": {"objects": ["x"]}})
    masked = decide(facts("SELECT * FROM customers"), rules)
    assert (masked.verdict, masked.mask) == (Verdict.MASK, MaskObligation(labels=("email",)))
    assert decide(facts("SELECT 1"), rules).mask is None and decide(facts("SELECT * FROM x"), rules).mask is None
    assert decide(facts("this is no SQL"), rules).verdict is Verdict.MASK  # it may read customers
    assert RuleEngine(rules).may_mask and not load_engine().may_mask
