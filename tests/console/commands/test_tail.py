import json
import threading

from console.commands.tail import render_line
from console.events import row_from
from tests.console.conftest import Record, Run, event, progress


def test_only_what_is_stored_from_now_on_and_fully(custody: Run, growing: Record) -> None:
    own = {"log_id": "log-T", "session_id": "tailed", "agent": "tailed", "run_id": "", "protocol": "custody"}
    growing.insert("events", [event(1, "session.opened", 0) | own])
    growing.insert("progress", [progress(0, log_id="log-T")])
    answers = []
    command = ("tail", "--json", "--agent", "tailed", "--count", "3")
    thread = threading.Thread(target=lambda: answers.append(custody(*command)))
    thread.start()
    offset = 0
    while thread.is_alive() and offset < 1000:  # whenever it began to look, three more come
        offset += 1
        growing.insert("events", [event(offset + 1, "action.requested", offset) | own])
        growing.insert("progress", [progress(offset, log_id="log-T")])
        thread.join(0.3)
    first, *rest = [json.loads(line)["seq"] for line in answers[0].out.splitlines()]
    assert first > 1
    assert rest == [first + 1, first + 2]


def test_one_event_on_one_line() -> None:
    line = render_line(row_from(event(2, "action.requested", 1, statement="SELECT\n\x1b[2J 1", agent="a\x1b")))
    assert "\n" not in line and "\x1b" not in line
    assert "action.requested" in line and "SELECT" in line
    assert "00000 7 rows" in render_line(row_from(event(3, "action.completed", 2, status="00000", rows=7)))
