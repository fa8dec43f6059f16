import io
import json

import pytest

from tests.console.conftest import Run


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
