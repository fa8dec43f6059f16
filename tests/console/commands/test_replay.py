import json
import threading

from tests.console.conftest import Record, Run, event, session


def test_a_session_again(custody: Run, filled: Record) -> None:
    answer = custody("replay", "s1")
    assert answer.code == 0
    text = answer.out
    for words in ("agent planner for dana@example.com", "#1 execute (read cards)  ALLOW", "$1 = 9", "$2 = NULL",
                  "‹payment_card:abc›", "#1 completed 00000, 2 rows, 80 B, 1.5 ms", "#2 request  DENY",
                  "closed: agent_closed"):  # fmt: skip
        assert words in text, words


def test_json(custody: Run, filled: Record) -> None:
    events = [json.loads(line) for line in custody("replay", "s1", "--json").out.splitlines()]
    assert [item["seq"] for item in events] == [1, 2, 3, 4, 5]
    assert events[1]["parameters"] == ["9", None]


def test_unknown_and_ambiguous(custody: Run, filled: Record) -> None:
    assert custody("replay", "nope").err == "custody: no session 'nope' is stored (yet)\n"
    assert "several sessions begin with 's'" in custody("replay", "s").err


def test_follow_ends_with_the_session(custody: Run, growing: Record) -> None:
    own = {"session_id": "followed", "log_id": "log-F", "run_id": "", "protocol": "custody"}
    growing.insert("sessions", [session("opened") | own])
    growing.insert("events", [event(1, "session.opened", 0) | own])

    def close() -> None:
        growing.insert("events", [event(2, "session.closed", 1, status="done") | own])

    timer = threading.Timer(0.3, close)
    timer.start()
    answer = custody("replay", "followed", "--follow", "--json")
    timer.join()
    assert [json.loads(line)["kind"] for line in answer.out.splitlines()] == ["session.opened", "session.closed"]
