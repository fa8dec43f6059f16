import io
import json

import pytest

from tests.console.conftest import Run


def test_classify(custody: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("DELETE FROM orders\n"))
    found = json.loads(custody("policy", "classify", "--dialect", "postgres", "--json").out)
    assert (found["operation"], found["is_read"], found["lacks_where"]) == ("delete", False, True)
    assert "delete orders" in found["objects"]
    monkeypatch.setattr("sys.stdin", io.StringIO("GET http://api/orders"))
    assert "operation: read" in custody("policy", "classify", "--dialect", "http").out


def test_an_unknown_dialect_is_said(custody: Run) -> None:
    answer = custody("policy", "classify", "--dialect", "oracle")
    assert answer.code == 2
    assert "there are: postgres, http" in answer.err
