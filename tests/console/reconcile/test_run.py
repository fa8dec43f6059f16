from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from console.control import find_place
from console.reconcile.matching import Done, Outcome
from console.reconcile.run import Question, describe, judge_counts, judge_log, reconcile, shown_time
from console.reconcile.sighting import Reading, Sighting
from console.reconcile.statement_counts import Comparison, Counts, Difference
from console.store import open_store
from console.verification import Outcome as Says
from schemas.errors import ConfigError
from schemas.resources import Resource
from tests.console.conftest import START, Record, event


def resource(name: str, protocol: str) -> Resource:
    behind = {"host": "127.0.0.1", "port": 1}
    more = {"principal": "x"} if protocol == "tcp" else {}
    return Resource.model_validate({"name": name, "protocol": protocol, "listen": 0, "upstream": behind} | more)


SEEN = Sighting(2_000_000, "f", "SELECT ?", user="u", source="10.0.0.9", line=3)
DONE = Done(1, 2, "f", "s1", 4, agent="planner")


def test_verdicts_on_a_log() -> None:
    outcome = Outcome(matched=3, first=1_000_000, last=3_000_000)
    assert judge_log(outcome, Reading()).outcome is Says.HOLDS
    assert judge_log(Outcome(), Reading()).outcome is Says.UNDECIDED
    outcome.only_trail, outcome.trail_items = 1, [DONE]
    undecided = judge_log(outcome, Reading())
    assert (undecided.outcome, undecided.facts["coverage_percent"]) == (Says.UNDECIDED, 100.0)
    outcome.only_target, outcome.target_items = 1, [SEEN]
    verdict = judge_log(outcome, Reading())
    assert (verdict.outcome, verdict.facts["coverage_percent"]) == (Says.VIOLATED, 75.0)
    assert verdict.findings[0] == (
        "only at the target: 1970-01-01T00:00:02.000+00:00 source=10.0.0.9 user=u line=3 shape=f SELECT ?"
    )
    assert "only in the trail: 1970-01-01T00:00:00.000+00:00 session=s1 seq=4 agent=planner" in verdict.findings[1]
    reading = Reading(lines=9, unread=1, unread_lines=[7])
    verdict = judge_log(Outcome(matched=1, first=1, last=1), reading)
    assert verdict.outcome is Says.UNDECIDED
    assert "1 lines of the evidence could not be read (lines 7" in verdict.findings[0]


def test_verdicts_on_counts() -> None:
    more = Difference("u", "d", "f", "SELECT ?", 5, 3)
    less = Difference("", "d", "g", "", 1, 2)
    counts = Counts(1_000_000, 2_000_000)
    assert judge_counts(counts, Comparison(3, (), ())).outcome is Says.HOLDS
    assert judge_counts(counts, Comparison(0, (), ())).outcome is Says.UNDECIDED
    assert judge_counts(counts, Comparison(3, (), (less,))).outcome is Says.UNDECIDED
    assert judge_counts(Counts(1, 2, dealloc=1), Comparison(3, (), ())).outcome is Says.UNDECIDED
    assert judge_counts(Counts(1, 2, hidden=1), Comparison(3, (), ())).outcome is Says.UNDECIDED
    verdict = judge_counts(counts, Comparison(3, (more,), (less,)))
    assert (verdict.outcome, verdict.facts["only_at_target"], verdict.facts["only_in_trail"]) == (Says.VIOLATED, 2, 1)
    assert verdict.facts["coverage_percent"] == 60.0
    assert verdict.findings[0] == "only at the target: count=2 user=u database=d shape=f SELECT ?"


def test_shown() -> None:
    assert shown_time(0) == ""
    assert describe({"at": "then", "user": "", "line": 3, "text": "x"}) == "then line=3 x"


def log_line(at: datetime, path: str, source: str = "10.0.0.1") -> str:
    return f'{source} - - [{at.astimezone(UTC):%d/%b/%Y:%H:%M:%S} +0000] "GET {path} HTTP/1.1" 200 5 "-" "curl"\n'


def test_an_access_log_against_the_store(growing: Record, tmp_path: Path) -> None:
    own = {"log_id": "log-run", "resource": "run-api", "session_id": "run-s", "verdict": "allow", "protocol": "http"}
    asked = ("/customers/1", "/files/‹email:abc›", "/health")
    rows = []
    for number, path in enumerate(asked):
        at = START + timedelta(seconds=10 * number)
        action = own | {"action_id": f"run-s.{number}", "at": at}
        rows.append(event(2 * number + 1, "action.requested", number, **action, statement=f"GET http://api{path}"))
        ended = action | {"status": "200", "duration_us": 1000}
        rows.append(event(2 * number + 2, "action.completed", 10 + number, **ended))
    growing.insert("events", rows)
    log = tmp_path / "access.log"
    lines = [
        log_line(START, "/customers/1?x=1"), log_line(START, "/customers/9", "10.0.0.66"),
        log_line(START + timedelta(seconds=10), "/files/tom@example.com"),
        log_line(START + timedelta(seconds=20), "/health"),
    ]  # fmt: skip
    log.write_text("".join(lines))
    place = find_place()
    target = resource("run-api", "http")

    def verdict(**asked: object) -> tuple[str, list[str]]:
        with open_store(place) as store:
            found = reconcile(store, place, target, Question(evidence=(log,), **asked))  # type: ignore[arg-type]
        return found.outcome, [item["source"] for item in found.facts["target"]]

    assert verdict(proxies=frozenset({"10.0.0.1"})) == (Says.VIOLATED, ["10.0.0.66"])
    assert verdict()[0] == Says.VIOLATED
    log.write_text("".join([lines[0], *lines[2:]]))
    assert verdict() == (Says.HOLDS, [])
    log.write_text("".join([lines[0], lines[3]]))
    assert verdict() == (Says.UNDECIDED, [])
    log.write_text("")
    assert verdict() == (Says.UNDECIDED, [])
    log.write_text("nothing of the kind\n")
    assert verdict() == (Says.UNDECIDED, [])


def test_what_cannot_be_compared_is_said(filled: Record, tmp_path: Path) -> None:
    place = find_place()
    log = tmp_path / "log"
    log.write_text("x\n")
    with open_store(place) as store:
        for target, question, words in (
            (resource("a", "http"), Question(), "give its server's access log"),
            (resource("b", "tcp"), Question(evidence=(log,)), "only postgres and http"),
            (resource("c", "postgres"), Question(since=1), "counts since its reset"),
        ):
            with pytest.raises(ConfigError, match=words):
                reconcile(store, place, target, question)
