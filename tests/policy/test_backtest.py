from policy.backtest import PastAction, backtest, classify_past
from policy.cedar_policies import load_policies
from policy.model import Operation

POLICIES = load_policies(
    {
        "p": """
        @id("reads") permit (principal, action == Action::"read", resource);
        @id("pii") @mask("email") permit (principal, action == Action::"read", resource)
        when { context.objects.contains("users") };
        @id("ask") @approval("ask") permit (principal, action == Action::"delete", resource);
        @id("prod") forbid (principal, action == Action::"delete", resource in Environment::"production");
        """
    }
)


def past(statement: str, operation: str = "read", **more) -> PastAction:
    own = {"principal": "ann", "agent": "planner", "resource": "db", "protocol": "postgres", "verdict": "allow"}
    return PastAction(statement=statement, operation=operation, objects=more.pop("objects", ()), **(own | more))


def test_what_would_change_and_who_is_hit() -> None:
    actions = [
        past("SELECT 1"),
        past("SELECT email FROM users"),
        past("DELETE FROM t WHERE a = 1", "delete"),
        past("DELETE FROM t WHERE a = 2", "delete", agent="other"),
        past("DELETE FROM t", "delete", resource="prod-db"),
        past("DELETE FROM t", "delete", verdict="hold"),
    ]
    report = backtest(actions, POLICIES, {"prod-db": {"environment": "production"}})
    assert (report.actions, report.unchanged) == (6, 2)
    assert report.by_verdict() == {"mask": 1, "hold": 2, "deny": 1}
    held = next(change for change in report.changes.values() if change.verdict == "hold")
    assert held.hit == {("ann", "planner", "db"): 1, ("ann", "other", "db"): 1}
    assert (held.policies, held.before, held.operations) == (("ask",), "allow", {"delete": 2})
    assert held.as_dict()["hit"][0]["actions"] == 1
    assert report.version == POLICIES.version


def test_masked_text_is_judged_by_what_was_recorded() -> None:
    readable, is_by_record = classify_past(past("SELECT * FROM t WHERE a = '‹email:abc›'"))
    assert (readable.operation, is_by_record) == (Operation.READ, False)
    broken, is_by_record = classify_past(past("DELETE FROM t WHERE a = '‹x", "delete", objects=("delete t", "read u")))
    assert (broken.operation, is_by_record) == (Operation.DELETE, True)
    assert [str(each) for each in broken.objects] == ["delete t", "read u"]
    unknown, _ = classify_past(past("SELEC", "unknown"))
    assert unknown.is_unknown
    opaque, is_by_record = classify_past(past("", "nonsense", protocol="tcp"))
    assert opaque.is_unknown and is_by_record


def test_the_past_of_a_session_counts() -> None:
    policies = load_policies({"p": "permit (principal, action, resource) when { context.rows_read < 10 };"})
    actions = [past("SELECT 1", session_id="s", rows_read=rows) for rows in (0, 9, 10)]
    assert backtest(actions, policies, {}).by_verdict() == {"deny": 1}
    policies = load_policies({"p": "permit (principal, action, resource) when { context.actions < 3 };"})
    report = backtest([past("SELECT 1", session_id=id) for id in "aaab"], policies, {})
    assert report.by_verdict() == {"deny": 1}
