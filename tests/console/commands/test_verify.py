"""On a real store: a whole record holds, every way to break it is found, and without a store there is no verdict."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.console.conftest import Record, Run, event, fill, progress

BROKEN: Final[tuple[tuple[str, list[dict[str, Any]], int, str], ...]] = (
    ("a hole", [event(1, "session.opened", 0), event(2, "data.sent", 2)], 2, "log-0: origins: 1 of 3 are missing"),
    ("no tail", [event(1, "session.opened", 0)], 2, "log-1: origins: 2 of 3 are missing"),
    (
        "a seq",
        [event(1, "session.opened", 0), event(3, "data.sent", 1)],
        1,
        "session x-2: 1 of 3 events are missing: 2",
    ),
    ("twice", [event(1, "session.opened", 0), event(1, "session.opened", 0)], 0, "log-3: 1 events are stored twice"),
    (
        "seq twice",
        [event(1, "session.opened", 0), event(1, "data.sent", 1)],
        1,
        "session x-4: 1 events are stored twice",
    ),
    ("its end", [event(1, "session.closed", 0, attributes={"events": "5"})], 0, "x-5: closed with 5 events, 1 are"),
    ("two ends", [event(seq, "session.closed", seq - 1) for seq in (1, 2)], 1, "session x-6: closed 2 times"),
    ("loss", [event(1, "audit.gap", 0, attributes={"lost_events": "4"})], 0, "lost_events=4"),
    ("batch", [event(1, "x", 0, batch_seq=0), event(2, "x", 1, batch_seq=2)], 1, "log-8: batches: 1 of 3 are missing"),
    (
        "run end",
        [event(1, "proxy.stopped", 0, batch_seq=0, attributes={"batches.0": "4"})],
        0,
        "log-9: batches: 3 of 4",
    ),
    ("no head", [event(1, "session.opened", 3)], 3, "log-10: origins: begins at 3"),
)
"""(what, events, progress, what must be found); each case has a log, a session and a proxy run of its own."""


def verdicts(custody: Run) -> tuple[int, dict[str, Any]]:
    answer = custody("verify", "--json")
    assert answer.err == ""
    return answer.code, {verdict["name"]: verdict for verdict in json.loads(answer.out)}


def test_verdicts(custody: Run, record: Record) -> None:
    code, found = verdicts(custody)
    assert (code, found["completeness"]["outcome"]) == (2, "undecided")

    fill(record)
    record.insert("events", [event(9, "action.requested", 12, session_id="s2")])  # on its way: beyond the progress
    code, found = verdicts(custody)
    assert (code, found["completeness"]["outcome"], found["coverage"]["outcome"]) == (0, "holds", "holds")
    assert found["integrity"]["outcome"] == "not yet provable"
    assert found["completeness"]["facts"] == {
        "sessions": 3,
        "events": 7,
        "open": 1,
        "lost": 0,
        "truncated by policy": 0,
        "gaps": 0,
    }
    text = custody("verify").out
    assert "ok  completeness: holds (3 sessions, 7 events, 1 open, 0 lost, 0 truncated by policy, 0 gaps)" in text
    assert "90.00 % of 100 bytes understood" in text

    for number, (_, events, upto, _) in enumerate(BROKEN):
        own = {"log_id": f"log-{number}", "session_id": f"x-{number}", "proxy_epoch": f"run-{number}"}
        record.insert("events", [row | own | {"is_truncated": number == 0} for row in events])
        record.insert("progress", [progress(upto, log_id=f"log-{number}")])
    code, found = verdicts(custody)
    assert code == 1
    findings = "\n".join(found["completeness"]["findings"])
    assert found["completeness"]["facts"]["truncated by policy"] == 1
    assert [what for what, _, _, words in BROKEN if words not in findings] == [], findings

    record.store.kill()
    answer = custody("verify")
    assert answer.code == 2
    assert "does not answer" in answer.err
    assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--evidence", "{log}"], "--evidence: only with --reconcile"),
        (["--since", "1h", "--skew", "1s"], "--since, --skew: only with --reconcile"),
        (["--save-baseline", "{log}"], "--save-baseline: only with --reconcile"),
        (["--reconcile", "r", "--last-seen", "{log}"], "--last-seen: not with --reconcile without --evidence"),
        (["--reconcile", "r", "--proxy-address", "::1"], "--proxy-address: not with --reconcile without --evidence"),
        (
            ["--reconcile", "r", "--evidence", "{log}", "--baseline", "{log}", "--last-seen", "{log}"],
            "--last-seen, --baseline: not with --reconcile and --evidence",
        ),
    ],
    ids=["evidence", "times", "baseline", "head", "addresses", "both"],
)
def test_an_option_that_would_not_be_read_is_refused(
    options: list[str], what: str, custody: Run, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.touch()
    answer = custody("verify", *(option.format(log=log) for option in options))
    assert (answer.code, answer.out, answer.err) == (2, "", f"custody: {what}\n")
