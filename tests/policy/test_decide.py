from dataclasses import replace

import pytest

from policy.cedar_policies import load_policies
from policy.classify import classify
from policy.decide import ActionFacts, CedarEngine, actions_of, breadth_of, decide, load_engine, read_policy_file
from policy.http_calls import classify_model_call, classify_tool_call
from policy.model import Decision, History, MaskObligation, RecordObligation, TypedMask
from schemas.errors import ConfigError
from schemas.events import Verdict


def facts(statement: str, dialect: str = "postgres", resource: str = "prod-db", **more) -> ActionFacts:
    own = {"agent": "planner", "principal": "ann", "protocol": dialect, "resource": resource} | more
    return ActionFacts(classified=classify(dialect, statement), **own)


def ask(cedar: str, action: ActionFacts, default: str = "deny") -> Decision:
    return decide(action, load_policies({"p": cedar}, default))


def test_what_no_policy_allows_is_denied_unless_the_setting_says_otherwise() -> None:
    denied = ask("", facts("SELECT 1"))
    assert (denied.verdict, denied.policy_ids, denied.reason) == (Verdict.DENY, (), "no policy allows read")
    assert ask("", facts("SELECT 1"), default="allow").verdict is Verdict.ALLOW


def test_a_forbid_wins_and_its_reason_is_told() -> None:
    cedar = """
        @id("all") permit (principal, action, resource);
        @id("no-ddl") @reason("no schema changes") @notify("dba")
        forbid (principal, action == Action::"ddl", resource);
    """
    denied = ask(cedar, facts("DROP TABLE t"))
    assert (denied.verdict, denied.policy_ids, denied.reason) == (Verdict.DENY, ("no-ddl",), "no schema changes")
    assert denied.obligations.notify == ("dba",)
    allowed = ask(cedar, facts("SELECT 1"))
    assert (allowed.verdict, allowed.policy_ids) == (Verdict.ALLOW, ("all",))
    assert allowed.version == denied.version != ""


def test_a_denial_says_that_a_statement_was_not_understood() -> None:
    reads = 'permit (principal, action == Action::"read", resource);'
    denied = ask(reads, facts("not sql"))
    assert denied.reason == "it was not understood, or is too long to be: no policy allows write"
    forbidden = '@id("f") @reason("no writes") forbid (principal, action == Action::"write", resource);'
    assert ask(reads + forbidden, facts("not sql")).reason == "no writes"


FORBIDDEN = [
    ('action == Action::"write", resource', "", "INSERT INTO t VALUES (1)", True),
    (
        'action == Action::"write", resource', "",
        "WITH d AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM d", True,
    ),
    ('action == Action::"read", resource', "", "INSERT INTO t SELECT * FROM u", True),
    ('action == Action::"write", resource', "", "SELECT 1", False),
    ('action == Action::"write", resource', "", "COMMIT", False),
    ('action == Action::"read", resource', "", "not sql", True),
    ('action == Action::"delete", resource', "", "not sql", True),
    ("action, resource", 'context.objects.contains("secrets")', "SELECT * FROM public.secrets", True),
    ("action, resource", 'context.objects.contains("secrets")', 'SELECT * FROM "Secrets"', True),
    ("action, resource", 'context.objects.contains("secrets")', "SELECT * FROM users", False),
    ("action, resource", 'context.writes.contains("secrets")', "SELECT * FROM secrets", False),
    ("action, resource", 'context.target like "*.secrets"', "SELECT * FROM public.secrets", True),
    ("action, resource", 'context.columns.contains("password")', "SELECT u.password FROM users u", True),
    ("action, resource", 'context.functions.contains("pg_read_file")', "SELECT pg_read_file('x')", True),
    ("action, resource", "context.lacks_where", "DELETE FROM users", True),
    ("action, resource", "context.lacks_where", "DELETE FROM users WHERE id = 1", False),
    ("action, resource", 'context.breadth == "all"', "UPDATE users SET a = 1", True),
    ("action, resource", "context.multi", "SELECT 1; SELECT 2", True),
    ("action, resource", "context.unknown", "not sql", True),
    ("action, resource", "context.unknown", "SELECT 1", False),
    ("action, resource", 'resource.name like "prod-*"', "SELECT 1", True),
    ("action, resource", 'resource.name like "dev-*"', "SELECT 1", False),
    ("action, resource", 'context.agent == Agent::"planner"', "SELECT 1", True),
    ("action, resource", 'principal in Group::"interns"', "SELECT 1", True),
    ("action, resource", 'principal in Group::"admins"', "SELECT 1", False),
    ('action, resource in Environment::"production"', "", "SELECT 1", True),
    ('action, resource in Environment::"staging"', "", "SELECT 1", False),
    ('action, resource in Label::"team=data"', "", "SELECT 1", True),
    ("action, resource", "context.hour >= 22", "SELECT 1", True),
    ("action, resource", "context.rows_read > 1000", "SELECT 1", False),
    ("action, resource", 'context.source.isInRange(ip("10.0.0.0/8"))', "SELECT 1", True),
]  # fmt: skip


@pytest.mark.parametrize(("scope", "condition", "statement", "is_denied"), FORBIDDEN)
def test_forbid(scope: str, condition: str, statement: str, is_denied: bool) -> None:
    cedar = f"permit (principal, action, resource); forbid (principal, {scope})"
    cedar += f" when {{ {condition} }};" if condition else ";"
    action = facts(
        statement,
        labels={"environment": "production", "team": "data"},
        groups=("interns",),
        source="10.1.2.3",
        history=History(hour=23),
    )
    assert ask(cedar, action).verdict is (Verdict.DENY if is_denied else Verdict.ALLOW)


PERMITTED = [
    ('[Action::"read"]', "SELECT 1", True),
    ('[Action::"read"]', "INSERT INTO t VALUES (1)", False),
    ('[Action::"write"]', "INSERT INTO t VALUES (1)", True),
    ('[Action::"write"]', "INSERT INTO t SELECT * FROM u", False),
    ('[Action::"read", Action::"write"]', "INSERT INTO t SELECT * FROM u", True),
    ('[Action::"read", Action::"write"]', "WITH d AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM d", False),
    ('[Action::"read"]', "COMMIT", True),
    ('[Action::"read", Action::"admin"]', "not sql", False),
    ('[Action::"write"]', "SELECT nextval('s')", True),
]


@pytest.mark.parametrize(("actions", "statement", "is_allowed"), PERMITTED)
def test_a_permission_must_cover_all_that_is_done(actions: str, statement: str, is_allowed: bool) -> None:
    verdict = ask(f"permit (principal, action in {actions}, resource);", facts(statement)).verdict
    assert verdict is (Verdict.ALLOW if is_allowed else Verdict.DENY)


def test_obligations_add_up() -> None:
    cedar = """
        permit (principal, action, resource);
        @mask("email, card; columns=pay; typed=stand_in") @limit_rows("100")
        permit (principal, action == Action::"read", resource);
        @mask("phone") @limit_rows("50") @record("statement") permit (principal, action, resource);
        @notify("soc") @record("rows=5; bytes=100") permit (principal, action, resource);
    """
    decision = ask(cedar, facts("SELECT 1"))
    assert decision.verdict is Verdict.MASK
    demanded = decision.obligations
    assert demanded.mask is not None and set(demanded.mask.labels) == {"email", "card", "phone"}
    assert (demanded.mask.columns, demanded.mask.typed) == (("pay",), TypedMask.NULL)
    assert (demanded.limit_rows, demanded.record, demanded.notify) == (50, RecordObligation(5, 100), ("soc",))


def test_a_mask_comes_with_what_it_demands_and_no_other_verdict_does() -> None:
    cedar = """
        @id("rest") permit (principal, action, resource);
        @id("pii") @mask("email") permit (principal, action, resource)
        when { context.unknown || context.objects.contains("customers") };
    """
    masked = ask(cedar, facts("SELECT * FROM customers"))
    assert (masked.verdict, masked.obligations.mask) == (Verdict.MASK, MaskObligation(("email",)))
    plain = ask(cedar, facts("SELECT 1"))
    assert (plain.verdict, plain.obligations.mask) == (Verdict.ALLOW, None)
    assert ask(cedar, facts("this is no SQL")).verdict is Verdict.MASK  # it may read customers
    assert CedarEngine(load_policies({"p": cedar})).may_mask and not load_engine().may_mask


def test_an_approval_holds_whatever_else_allows_it() -> None:
    cedar = """
        permit (principal, action, resource);
        @mask @approval("ask ann") permit (principal, action == Action::"delete", resource);
    """
    held = ask(cedar, facts("DELETE FROM t"))
    assert (held.verdict, held.reason, held.obligations.mask) == (Verdict.HOLD, "ask ann", MaskObligation())
    assert ask(cedar, facts("SELECT 1")).verdict is Verdict.ALLOW


def test_a_policy_that_cannot_be_evaluated_denies() -> None:
    too_large = "context.hour + 9223372036854775807 > 0"
    cedar = f"permit (principal, action, resource); forbid (principal, action, resource) when {{ {too_large} }};"
    assert ask(cedar, facts("SELECT 1", history=History(hour=5))).verdict is Verdict.DENY


def test_what_an_action_does_as_cedar_actions() -> None:
    assert set(actions_of(classify("mcp", "{}"), "mcp")) >= {"read", "admin", "execute"}
    assert actions_of(classify("postgres", "COMMIT"), "postgres") == ["read"]
    assert set(actions_of(classify("shell", "cat a > b"), "shell")) == {"read", "write", "file_read", "file_write"}
    call = '{"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "get_x"}}'
    assert set(actions_of(classify("mcp", call), "mcp")) == {"read", "tool_call"}


@pytest.mark.parametrize(
    ("statement", "breadth"),
    [
        ("SELECT 1", "none"),
        ("DELETE FROM t", "all"),
        ("DELETE FROM t WHERE a", "some"),
        ("INSERT INTO t VALUES (1)", "some"),
        ("DROP TABLE t", "all"),
        ("COMMIT", "none"),
        ("not sql", "all"),
    ],
)
def test_breadth(statement: str, breadth: str) -> None:
    assert breadth_of(classify("postgres", statement)) == breadth


def test_the_shipped_policy_allows() -> None:
    decision = load_engine().decide(facts("DROP TABLE t"))
    assert (decision.verdict, decision.policy_ids) == (Verdict.ALLOW, ("allow-and-record",))


def test_engines_are_made_from_files(tmp_path) -> None:
    path = tmp_path / "p.cedar"
    path.write_text('permit (principal, action == Action::"read", resource);')
    for given in (str(path), str(tmp_path)):
        engine = load_engine(given)
        assert isinstance(engine, CedarEngine)
        assert engine.decide(facts("DROP TABLE t")).verdict is Verdict.DENY
    (tmp_path / "empty").mkdir()
    for missing in ("none.cedar", "empty"):
        with pytest.raises(ConfigError, match="policy_file"):
            load_engine(str(tmp_path / missing))
    assert list(read_policy_file("starter")) == ["starter.cedar"]


def test_hostile_names_are_only_names() -> None:
    cedar = 'permit (principal == Principal::"ann", action, resource);'
    assert ask(cedar, facts("SELECT 1", principal='ann" || true || "')).verdict is Verdict.DENY
    assert ask(cedar, facts('SELECT * FROM "x\\"\n]"', principal="ann")).verdict is Verdict.ALLOW


def test_calls_of_models_and_tools_are_asked_besides() -> None:
    post = classify_model_call(classify("http", "POST https://ai.example/v1/messages"), {"model": "small"})
    asked = ActionFacts("planner", "ann", "ai", "http", post)
    writes = 'permit (principal, action == Action::"write", resource);'
    assert ask(writes, asked).reason == "no policy allows model_call"
    small = 'permit (principal, action == Action::"model_call", resource) when { context.model == "small" };'
    assert ask(writes + small, asked).verdict is Verdict.ALLOW
    assert ask(small, asked).reason == "no policy allows write"
    unknown = classify_tool_call(classify("http", "POST https://mcp.example/"), None, is_mcp=True)
    held = 'permit (principal, action, resource); forbid (principal, action == Action::"tool_call", resource);'
    assert ask(held, replace(asked, classified=unknown)).verdict is Verdict.DENY
