"""Custody's own doings in the log: numbered, signed, started and stopped as of every process that writes evidence."""

import asyncio

import pytest

from schemas.config import find_settings
from schemas.errors import AuditUnavailable
from schemas.events import Event, EventKind, SessionContext
from schemas.runtime import Home
from schemas.wire.trail import Refusals, Trail
from tests.processors.keyholder.holder import Holder, ends
from tests.support.homes import connect_home
from tests.support.kafka import Kafka


def read(home: Home, starts: dict[int, int]) -> list[tuple[SessionContext, Event]]:
    reader: Holder = Holder(home, None, starts)  # type: ignore[arg-type]
    return reader.trail()


async def test_a_process_and_what_is_asked_of_it_are_whole_sessions(home: Home) -> None:
    starts, settings = await asyncio.to_thread(ends, home), find_settings(home)
    epochs = []
    for _ in range(2):
        trail = Trail("keyholder", "keyholder", settings, home)
        await trail.start()
        session = trail.open("custody-console", principal="ann@local", client="trace")
        session.record(EventKind.ACTION_REQUESTED, action_id=session.action_id, operation="trace")
        session.close("answered", actions=1)
        await session.wait()
        await trail.note(EventKind.KEY_ROTATED, purpose="token")
        await trail.stop()
    found = await asyncio.to_thread(read, home, starts)
    by_session: dict[str, list[Event]] = {}
    for context, event in found:
        by_session.setdefault(context.session_id, []).append(event)
        assert (context.resource, context.protocol) == ("custody", "custody")
    assert len(by_session) == 4
    for events in by_session.values():
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert events[-1].kind == "session.closed"
        assert events[-1].attributes["events"] == str(len(events))
        assert all(len(event.opening) == 16 for event in events)
    starting = [event for _, event in found if event.kind == "proxy.started"]
    epochs = [event.attributes["epoch"] for event in starting]
    assert [event.attributes["previous_epoch"] for event in starting] == ["", epochs[0]]
    assert len([event for _, event in found if event.kind == "proxy.stopped"]) == 2


async def test_an_absent_broker_is_told_not_waited_for(bare_home: Home, own_kafka: Kafka) -> None:
    connect_home(bare_home, own_kafka, capture={"audit_timeout_s": 0.5})
    trail = Trail("keyholder", "keyholder", find_settings(bare_home), bare_home)
    await trail.start()
    await asyncio.to_thread(own_kafka.broker.stop)
    session = trail.open("custody-console", principal="ann@local")
    with pytest.raises(AuditUnavailable):
        await session.wait()
    await trail.stop(0.2)


def test_of_many_refusals_the_first_are_recorded_and_the_rest_counted() -> None:
    written: list[dict[str, str]] = []
    refusals = Refusals(2)
    assert [refusals.record(written.append) for _ in range(5)] == [True] * 5
    assert written == [{}, {}]


def test_a_refusal_that_the_log_did_not_take_is_told_with_the_next_one() -> None:
    written: list[dict[str, str]] = []

    def fail(_before: dict[str, str]) -> None:
        raise AuditUnavailable("away")

    refusals = Refusals(9)
    assert not refusals.record(fail) and refusals.record(written.append) and refusals.record(written.append)
    assert written == [{"refused_before_unrecorded": "1"}, {}]
