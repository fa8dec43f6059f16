"""The checks themselves: each finds its fault in a real store, and a record that is right has none."""

from collections.abc import Iterator
from typing import Any

import pytest

from console.control import find_place
from console.store import Store, open_store
from tests.console.conftest import LOG, Record, event, point_at, session
from tests.integration.agents import Ledger
from tests.integration.record_checks import Read, find_faults
from tests.support.store import run_store

MARK = "mark-1-1-end"


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Record]:
    with run_store(tmp_path_factory.mktemp("store")) as store, pytest.MonkeyPatch.context() as patch:
        yield point_at(store, tmp_path_factory.mktemp("home"), patch)


@pytest.fixture(scope="module")
def reader(record: Record) -> Iterator[Store]:
    with open_store(find_place()) as store:
        yield store


def only(reader: Store, log_id: str) -> Read:
    """The store as if it held one log."""
    rows = f"(SELECT * FROM custody.events WHERE log_id = '{log_id}')"
    return lambda sql: reader.rows(sql.replace("custody.events", rows))


def conversation(log_id: str, name: str) -> list[dict[str, Any]]:
    """One action that is recorded as it should be."""
    mine = {"session_id": name, "log_id": log_id}
    return [
        event(1, "session.opened", 0, **mine),
        event(2, "action.requested", 1, action_id=f"{name}.1", statement=f"SELECT '{MARK}'", **mine),
        event(3, "action.completed", 2, action_id=f"{name}.1", status="00000", **mine),
    ]


FAULTS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "stored twice": (
        [event(3, "action.completed", 2, action_id="s.1", session_id="s")],
        "coordinates are stored twice",
    ),
    "a hole in a session": ([event(5, "session.closed", 3, session_id="s")], "a session's seq has a hole"),
    "a hole in the log": ([event(4, "session.closed", 4, session_id="s")], "has raw records 0 to"),
    "a position left out": ([event(4, "session.closed", 3, session_id="s", position=1)], "positions have a hole"),
    "recorded again": (
        [event(4, "action.requested", 3, session_id="s", action_id="s.2", statement=f"SELECT '{MARK}'")],
        "is recorded 2 times as requested",
    ),
    "a second outcome": ([event(4, "action.completed", 3, session_id="s", action_id="s.1")], "recorded outcomes: "),
    "a loss": ([event(4, "audit.gap", 3, session_id="s", attributes={"lost_events": "2"})], "owns to a loss"),
    "never tried": (
        [event(4, "action.requested", 3, session_id="s", action_id="s.2", statement="mark-9-9-end")],
        "was never tried",
    ),
}


def test_each_fault_is_found_and_a_right_record_has_none(record: Record, reader: Store) -> None:
    record.insert("events", conversation(LOG, "s"))
    record.insert("sessions", [session("opened", session_id="s")])
    ledger = Ledger(tried={MARK}, acknowledged={MARK: "00000"})
    read = only(reader, LOG)
    assert find_faults(read, ledger, [], {0: 3}) == []
    assert "is not on record" in find_faults(read, ledger, ["mark-2-2-end"], {0: 3})[0]
    assert "reached the upstream 2 times" in find_faults(read, ledger, [MARK, MARK], {0: 3})[0]
    assert "has raw records 0 to 3" in find_faults(read, ledger, [], {0: 4})[0]
    lost = Ledger(tried={MARK, "mark-1-2-end"}, acknowledged={MARK: "00000", "mark-1-2-end": "200"})
    assert "mark-1-2-end was answered and is recorded 0 times" in find_faults(read, lost, [], {0: 3})[0]
    wrong = Ledger(tried={MARK}, acknowledged={MARK: "22012"})
    assert "was answered with 22012; recorded outcomes: ['00000']" in find_faults(read, wrong, [], {0: 3})[0]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_the_store_is_found(record: Record, reader: Store, name: str) -> None:
    rows, expected = FAULTS[name]
    record.insert("events", [{**row, "log_id": name} for row in (*conversation(LOG, "s"), *rows)])
    ledger = Ledger(tried={MARK}, acknowledged={MARK: "00000"})
    found = find_faults(only(reader, name), ledger, [], {0: 3 + (name != "stored twice")})
    assert any(expected in fault for fault in found), found
