import io
import json

import pytest

from tests.console.conftest import Record, Run

SQL = "SELECT seq, statement FROM custody.events WHERE session_id = 's1' AND kind = 'action.requested' ORDER BY seq"


def test_a_table(custody: Run, filled: Record) -> None:
    answer = custody("query", SQL + " ;")
    assert answer.code == 0
    assert "SELECT id, card FROM cards" in answer.out
    assert answer.out.splitlines()[-1] == "2 rows"


def test_json_and_csv(custody: Run, filled: Record) -> None:
    assert [json.loads(line)["statement"] for line in custody("query", SQL, "--json").out.splitlines()][
        1
    ] == "DROP TABLE cards"
    assert custody("query", SQL, "--csv").out.splitlines()[0] == '"seq","statement"'
    assert "not both" in custody("query", SQL, "--csv", "--json").err


def test_a_statement_may_name_its_format(custody: Run, filled: Record) -> None:
    assert custody("query", "SELECT 1 AS a, 2 AS b FORMAT TSVWithNames").out == "a\tb\n1\t2\n"


def test_from_standard_input(custody: Run, filled: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 41 + 1 AS answer;\n"))
    assert "42" in custody("query", "-").out
    monkeypatch.setattr("sys.stdin", io.StringIO(" ;\n"))
    assert custody("query", "-").err == "custody: no SQL was given\n"


@pytest.mark.parametrize(
    "sql",
    ["DROP TABLE custody.events", "INSERT INTO custody.progress (sink) VALUES ('x')", "SELECT file('/etc/passwd')",
     "SELECT * FROM url('http://127.0.0.1:1/', CSV)", "SELECT 1; SELECT 2", "SELEC 1"],
)  # fmt: skip
@pytest.mark.parametrize("format", [(), ("--json",), ("--csv",)])
def test_refusals_are_the_stores_own_words(custody: Run, filled: Record, sql: str, format: tuple[str, ...]) -> None:
    answer = custody("query", sql, *format)
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith("custody: Code: ")
    assert len(answer.err.splitlines()) == 1


def test_show_and_describe(custody: Run, filled: Record) -> None:
    assert "session_states" in custody("query", "SHOW TABLES FROM custody").out
    assert "fingerprint" in custody("query", "DESCRIBE TABLE custody.events").out
