from dataclasses import replace

from schemas.events import Detection, EventBatch, EventKind, Origin, SessionEvent, Verdict
from schemas.wire import framing
from schemas.wire.tallies import SessionTally
from sinks.columns import decode_batch
from sinks.reader import NOTHING, Batch, Skimmed
from sinks.siem.summaries import Tallies, describe_detection, is_severe_enough
from tests.sinks.batches import START_US, make_batch, make_event, make_session


def as_batch(record: EventBatch) -> Batch:
    data = framing.encode(record)
    return Batch("log", 0, 0, 0, len(data), decode_batch(data))


def make_life(session: str, first: int = 1) -> EventBatch:
    record = make_batch(0, 0, 0)
    record.sessions = [make_session(session)]
    facts = {"reason": "agent left", "events": "5", "actions": "2", "bytes.agent": "99"}
    record.events = [
        SessionEvent(0, event)
        for event in (
            make_event(1, kind=EventKind.SESSION_OPENED, verdict=Verdict.NONE, rows=0, masked=[]),
            make_event(2, kind=EventKind.ACTION_REQUESTED, verdict=Verdict.NONE, rows=0, masked=[]),
            make_event(3, kind=EventKind.ACTION_DECIDED, verdict=Verdict.DENY, rows=0),
            make_event(4, kind=EventKind.ACTION_COMPLETED, verdict=Verdict.ALLOW, rows=7, error="no", masked=[]),
            make_event(
                5, START_US + 2_500_000, kind=EventKind.SESSION_CLOSED, verdict=Verdict.NONE, rows=0, masked=[],
                attributes=facts,
            ),
        )
        if event.seq >= first
    ]  # fmt: skip
    return record


def test_a_session_is_summarised_when_it_closes() -> None:
    tallies = Tallies()
    whole = make_life("s-1")
    head, tail = whole.events[:4], whole.events[4:]
    whole.events = head
    assert list(tallies.add(as_batch(whole))) == [] and len(tallies) == 1
    whole.events = tail
    (message,) = tallies.add(as_batch(whole))
    assert len(tallies) == 0
    assert (message.identity, message.kind, message.severity) == ("s-1", "session", "low")
    assert message.at == START_US + 2_500_000
    assert message.text == "planner for alice@example.test on demo-postgres: session closed"
    assert message.fields == {
        "agent": "planner", "principal": "alice@example.test", "resource": "demo-postgres", "protocol": "postgres",
        "run_id": "run-7", "client": "psycopg", "source": "127.0.0.1:50123", "opened_at": str(START_US),
        "duration_ms": "2500", "events": "5", "actions": "2", "rows": "7", "errors": "1", "masked": "1", "gaps": "0",
        "verdict.allow": "1", "verdict.deny": "1", "reason": "agent left", "bytes.agent": "99",
    }  # fmt: skip


def test_counts_that_began_late_say_so() -> None:
    (message,) = Tallies().add(as_batch(make_life("s-1", first=4)))
    assert message.fields["counted_from_seq"] == "4" and message.fields["events"] == "5"


def test_open_sessions_are_bounded() -> None:
    tallies = Tallies(limit=3)
    for number in range(10):
        record = make_life(f"s-{number}")
        record.events = record.events[:2]
        assert list(tallies.add(as_batch(record))) == []
    assert len(tallies) == 3
    (message,) = tallies.add(as_batch(make_life("s-9", first=3)))
    assert "counted_from_seq" not in message.fields
    (message,) = tallies.add(as_batch(make_life("s-1", first=3)))
    assert message.fields["counted_from_seq"] == "3"


def make_detection(severity: str = "high") -> Detection:
    origin = Origin("log", 0, 5)
    return Detection(
        "d-1", START_US, "burst", "1", severity, "Many denied actions", "planner", "alice", "db", "s-1", origin, 0,
        ["s-1:4", "s-1:5"], {"rule": "not the rule", "count": "12"},
    )  # fmt: skip


def test_a_detection() -> None:
    message = describe_detection(make_detection())
    assert (message.identity, message.kind, message.severity) == ("d-1", "detection", "high")
    assert message.fields["rule"] == "burst" and message.fields["fact.rule"] == "not the rule"
    assert message.fields["evidence"] == "s-1:4 s-1:5"


def test_severity_threshold() -> None:
    assert is_severe_enough(make_detection("high"), "medium")
    assert is_severe_enough(make_detection("medium"), "medium")
    assert not is_severe_enough(make_detection("low"), "medium")
    assert is_severe_enough(make_detection("unheard of"), "critical")


def test_tallies_of_headers_count_like_events() -> None:
    """Batches without events, as they come when mask has counted, then the one in which the session closes."""
    life = make_life("s-1")
    read, skimmed = Tallies(), Tallies()
    head, tail = make_life("s-1"), make_life("s-1")
    head.events, tail.events = life.events[:4], life.events[4:]
    assert list(read.add(as_batch(head))) == []
    for tally in (
        SessionTally("s-1", 1, {}, actions=1),
        SessionTally("s-1", 3, {"deny": 1, "allow": 1}, rows=7, errors=1, masked=1),
    ):
        assert list(skimmed.add(replace(as_batch(head), decoded=NOTHING, skimmed=Skimmed([tally], 2)))) == []
    assert list(read.add(as_batch(tail))) == list(skimmed.add(as_batch(tail)))
