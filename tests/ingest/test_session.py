"""Sessions on a real audit log: seq without holes, release by record mode, one close."""

from typing import Any

from ingest.session import MAX_TEXT, Recorder, Session
from schemas.events import EventKind, SessionContext
from schemas.resources import Resource
from schemas.runtime import Home
from tests.support.proxies import read_trails


def open_session(recorder: Recorder, name: str, **settings: Any) -> Session:
    resource = Resource.model_validate(
        {"name": name, "protocol": "postgres", "listen": 1, "upstream": {"host": "h", "port": 1}, **settings}
    )
    return recorder.open_session(SessionContext("", "ann", "planner", resource=name, opened_at=1), resource)


async def test_a_session_is_recorded_in_order_with_its_ledger(recorder: Recorder, home: Home) -> None:
    session = open_session(recorder, "ordered")
    session.ledger.from_agent = 42
    for number in range(20):
        ticket = session.record(EventKind.ACTION_REQUESTED, statement=str(number))
    assert not session.is_released(ticket)
    await session.wait(ticket)
    assert session.is_released(ticket)
    last = session.close("agent_closed")
    assert session.close("again") == 0
    await session.wait(last)
    (trail,) = read_trails(home, "ordered")
    assert [event.statement for event in trail.of("action.requested")] == [str(n) for n in range(20)]
    closed = trail.events[-1]
    assert (closed.status, closed.attributes["events"], closed.attributes["bytes.from_agent"]) == (
        "agent_closed",
        "22",
        "42",
    )
    assert len({event.opening for event in trail.events}) == 22
    assert all(len(event.opening) == 16 for event in trail.events)


async def test_best_effort_waits_for_nothing(recorder: Recorder) -> None:
    session = open_session(recorder, "free", record="best_effort")
    assert session.is_released(session.record(EventKind.ACTION_REQUESTED))


async def test_action_ids_are_unique(recorder: Recorder) -> None:
    one, two = open_session(recorder, "ids"), open_session(recorder, "ids")
    ids = [session.next_action_id() for session in (one, two) for _ in range(3)]
    assert len(set(ids)) == 6


async def test_digests_are_keyed(recorder: Recorder) -> None:
    import hashlib

    digest = open_session(recorder, "digest").new_digest()
    digest.update(b"secret")
    assert digest.digest() != hashlib.sha256(b"secret").digest()
    assert MAX_TEXT > 0
