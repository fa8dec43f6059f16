import io
import json
from pathlib import Path

import pytest

from console.commands import policy
from schemas.runtime import Home
from tests.console.conftest import Record, Run


def classify(custody: Run, monkeypatch: pytest.MonkeyPatch, dialect: str, *lines: object) -> list[dict[str, object]]:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(json.dumps(line) + "\n" for line in lines)))
    answer = custody("policy", "classify", "--dialect", dialect)
    assert answer.code == 0, answer.err
    return [json.loads(line) for line in answer.out.splitlines()]


def test_classify(custody: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = classify(
        custody,
        monkeypatch,
        "postgres",
        {"id": "a", "statement": "DELETE FROM orders WHERE id = 1"},
        {"id": 2, "statement": "SELECT f(1) FROM s.t; SELECT 1"},
        {"statement": "not sql"},
    )
    assert found == [
        {
            "id": "a",
            "operation": "delete",
            "objects": [{"name": "orders", "access": "write"}],
            "has_where": True,
            "multi": False,
            "unknown": False,
        },
        {
            "id": 2,
            "operation": "execute",
            "objects": [{"name": "s.t", "access": "read"}],
            "has_where": False,
            "multi": True,
            "unknown": False,
        },
        {"id": 3, "operation": "admin", "objects": [], "has_where": False, "multi": False, "unknown": True},
    ]


def test_a_statement_may_be_a_document(custody: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    document = {"find": "users", "filter": {"a": 1}}
    found = classify(
        custody, monkeypatch, "mongodb", {"id": 1, "statement": document}, {"id": 2, "statement": json.dumps(document)}
    )
    assert [line["operation"] for line in found] == ["read", "read"]
    assert found[0]["objects"] == found[1]["objects"] == [{"name": "users", "access": "read"}]


@pytest.mark.parametrize("text", ["no json", "[]", "{}", '{"id": 1}'])
def test_bad_lines_are_said(custody: Run, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f'{{"statement": "SELECT 1"}}\n{text}\n'))
    answer = custody("policy", "classify", "--dialect", "postgres")
    assert answer.code == 2
    assert "line 2" in answer.err


def test_an_unknown_dialect_is_said(custody: Run) -> None:
    answer = custody("policy", "classify", "--dialect", "oracle")
    assert answer.code == 2
    assert "there are: postgres, " in answer.err


PERMIT = 'permit (principal, action == Action::"read", resource);\n'


def test_check_tells_all_faults_with_lines(custody: Run, tmp_path: Path) -> None:
    path = tmp_path / "p.cedar"
    path.write_text(PERMIT)
    fine = custody("policy", "check", str(path))
    assert (fine.code, fine.out) == (0, "p.cedar: fine\n")
    path.write_text(
        f'{PERMIT}permit (nonsense);\n{PERMIT}@nope forbid (principal, action == Action::"frob", resource);'
    )
    answer = custody("policy", "check", str(path))
    assert answer.code == 1
    lines = [line.split(":")[1] for line in answer.out.splitlines()]
    assert lines == sorted(lines) and set(lines) == {"2", "3", "4"}
    found = json.loads(custody("policy", "check", "--json", str(path)).out)
    assert {each["line"] for each in found} == {2, 3, 4}
    missing = custody("policy", "check", str(tmp_path / "none.cedar"))
    assert missing.code == 2 and missing.err.endswith(
        "none.cedar: no such file or folder, and no shipped policy (default, starter)\n"
    )


def test_cases_beside_policies_are_run(custody: Run, tmp_path: Path) -> None:
    assert custody("policy", "test", "starter").code == 0
    (tmp_path / "p.cedar").write_text(PERMIT)
    assert custody("policy", "test", str(tmp_path / "p.cedar")).code == 2
    cases = tmp_path / "p.cases.yaml"
    cases.write_text("cases: [{name: a, statement: SELECT 1, expect: allow}]")
    assert "1 of 1 cases as expected" in custody("policy", "test", str(tmp_path)).out
    cases.write_text("cases: [{name: a, statement: SELECT 1, expect: deny}]")
    answer = custody("policy", "test", str(tmp_path / "p.cedar"))
    assert (answer.code, "a: allow by p.cedar#1, expected deny" in answer.out) == (1, True)


def test_backtest_says_what_would_change_and_who_is_hit(
    custody: Run, filled: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The labels come from control, which the tests of `apply` read from a real broker.
    monkeypatch.setattr(policy, "_resource_labels", lambda: {"orders": {"environment": "production"}})
    path = tmp_path / "p.cedar"
    path.write_text('@id("no-cards") forbid (principal, action, resource in Environment::"production");')
    report = json.loads(custody("policy", "backtest", "--json", "--since", "1d", str(path)).out)
    assert (report["actions"], report["unchanged"], report["newly"]) == (2, 1, {"deny": 1})  # one was denied then too
    (change,) = report["changes"]
    assert (change["before"], change["policies"]) == ("allow", ["no-cards"])
    assert {"principal": "dana@example.com", "agent": "planner", "resource": "orders"}.items() <= change["hit"][
        0
    ].items()
    assert "allow → deny" in custody("policy", "backtest", str(path)).out
    path.write_text("permit (principal, action, resource);")
    assert json.loads(custody("policy", "backtest", "--json", str(path)).out)["newly"] == {"allow": 1}


def test_policies_enter_and_leave_control(custody: Run, home: Home, tmp_path: Path) -> None:
    document = tmp_path / "policies.yaml"
    document.write_text("policies:\n  - name: console-test\n    cedar: |\n      " + PERMIT)
    try:
        assert custody("apply", "-f", str(document)).out == "policy console-test added\n"
        assert custody("apply", "-f", str(document)).out == "nothing to change\n"
        assert "console-test#1" in custody("policy", "list").out
        listed = json.loads(custody("policy", "list", "--json").out)
        assert listed["policies"] == [{"name": "console-test", "cedar": PERMIT}]
        document.write_text("policies:\n  - name: console-test\n    cedar: permit (nonsense);")
        answer = custody("apply", "-f", str(document))
        assert (answer.code, "console-test:1" in answer.err) == (2, True)
    finally:
        assert custody("policy", "remove", "console-test").out == "policy console-test removed\n"
    assert custody("policy", "remove", "console-test").code == 2
    assert "control holds no policy" in custody("policy", "list").out
