from typing import Any

from console.events import ResultRows, row_from
from console.replay import render, render_header, render_table
from tests.console.conftest import ROWS, event


def lines(kind: str, **values: Any) -> list[str]:
    return render(row_from(event(2, kind, 1, **values)))


def test_who_acted_for_whom() -> None:
    session = {
        "session_id": "s1", "agent": "executor", "principal": "dana", "resource": "orders", "protocol": "postgres",
        "run_id": "r1", "client": "psql",
        "delegation": [
            {"actor": "executor", "on_behalf_of": "planner"}, {"actor": "planner", "on_behalf_of": "dana"},
        ],
    }  # fmt: skip
    text = "\n".join(render_header(session))
    assert "agent executor for dana on orders (postgres)" in text
    assert "delegation: executor for planner -> planner for dana" in text
    assert "run id: r1" in text


def test_a_request_shows_statement_parameters_verdict_and_what_was_masked() -> None:
    first, *rest = lines(
        "action.requested", action_id="s1.1", statement="SELECT *\nFROM t", parameters=["9", None], operation="read",
        objects=["read t"], verdict="allow", attributes={"kind": "execute"}, masked=[("us_ssn", 1, "x", "statement")],
    )  # fmt: skip
    assert "#1 execute (read t)  ALLOW" in first
    assert [line.strip() for line in rest] == [
        "SELECT *",
        "FROM t",
        "$1 = 9",
        "$2 = NULL",
        "masked: us_ssn x1 in statement",
    ]


def test_an_outcome_shows_rows_and_timing() -> None:
    text = "\n".join(
        lines("action.completed", action_id="s1.1", status="00000", rows=7, bytes=2048, duration_us=1500, payload=ROWS,
              payload_type="rows")
    )  # fmt: skip
    assert "#1 completed 00000, 7 rows, 2.0 KiB, 1.5 ms" in text
    assert "2  | NULL" in text
    assert "(7 rows, 2 recorded, 2 shown)" in text


def test_an_error_is_shown() -> None:
    text = "\n".join(lines("action.completed", status="42P01", error='relation "x" does not exist'))
    assert "42P01" in text and 'error: relation "x" does not exist' in text


def test_a_payload_is_shown_and_bounded() -> None:
    text = "\n".join(
        lines("action.completed", status="200", payload='{"a": 1}\n' * 1000, payload_type="application/json")
    )
    assert '{"a": 1}' in text
    assert "more characters" in text
    assert len(text) < 6000


def test_binary_content_is_counted_only() -> None:
    text = "\n".join(lines("data.sent", bytes=10, payload="\x00\x01", payload_type="binary", payload_bytes=10))
    assert "-> data 10 B" in text
    assert "(10 B of binary data)" in text


def test_agents_cannot_steer_the_terminal() -> None:
    text = "\n".join(
        lines("action.requested", statement="\x1b]0;x\x07\x1b[2J", parameters=["\x1b[1m"], objects=["\x1b[2m"],
              attributes={"kind": "\x1b[3m", "k": "\x1b[4m"})
    )  # fmt: skip
    assert "\x1b" not in text and "\x07" not in text


def test_the_other_kinds() -> None:
    assert "GAP lost_events=3" in lines("audit.gap", attributes={"lost_events": "3"})[0]
    closed = lines("session.closed", status="agent_closed", attributes={"reason": "agent_closed", "actions": "3"})
    assert closed[0].endswith("closed: agent_closed actions=3")
    assert (
        "decided DENY reason=policy"
        in lines("action.decided", action_id="s.1", verdict="deny", attributes={"reason": "policy"})[0]
    )
    assert "opened" in lines("session.opened")[0]
    assert "file.accessed path=/a" in lines("file.accessed", attributes={"path": "/a"})[0]


def test_a_wide_table_is_cut() -> None:
    found = ResultRows(["a" * 200, "b"], [["x" * 500, index] for index in range(50)])
    shown = render_table(found, 1000)
    assert len(shown) == 2 + 20 + 1
    assert max(map(len, shown)) < 130
    assert shown[-1] == "(1000 rows, 50 recorded, 20 shown)"
