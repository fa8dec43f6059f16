from datetime import timedelta

import pytest

from console.control import find_place
from console.reconcile import trail
from console.reconcile.shapes import UNPARSABLE
from console.store import open_store
from schemas.resources import Resource
from tests.console.conftest import START, Record, event

AT = int(START.timestamp() * 1e6)


def resource(name: str, protocol: str = "postgres") -> Resource:
    return Resource.model_validate(
        {"name": name, "protocol": protocol, "listen": 0, "upstream": {"host": "h", "port": 1, "user": "app"}}
    )


def test_actions_come_in_order_with_their_ends(growing: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "PAGE_ROWS", 3)
    own = {"log_id": "log-trail", "resource": "trail-1", "session_id": "trail-s", "verdict": "allow", "fingerprint": ""}
    rows = []
    for number in range(8):
        at = START + timedelta(seconds=number // 2)  # two at one instant
        action = own | {"action_id": f"trail-s.{number}", "at": at}
        verdict = "deny" if number == 5 else "allow"
        rows.append(
            event(
                2 * number + 1, "action.requested", number, **action | {"fingerprint": f"f{number}", "verdict": verdict}
            )
        )
        if number == 6:
            rows.append(event(2 * number + 2, "action.decided", 50, **action | {"verdict": "deny"}))
        elif number != 7:
            ended = {"status": "00000" if number else "42P01", "duration_us": 1000}
            rows.append(event(2 * number + 2, "action.completed", 20 + number, **action | ended))
    growing.insert("events", rows)
    with open_store(find_place()) as store:
        found = list(trail.read_actions(store, resource("trail-1"), AT, AT + 10_000_000))
        assert [item.shape for item in found] == ["f0", "f1", "f2", "f3", "f4", "f7"]
        assert [item.is_certain for item in found] == [False, True, True, True, True, False]
        assert (found[1].until - found[1].at, found[1].user) == (1000, "app")
        assert found[5].until - found[5].at == trail.OPEN_ENDED_US
        assert [item.shape for item in trail.read_actions(store, resource("trail-1"), AT + 1, AT + 1_000_001)] == [
            "f2", "f3",
        ]  # fmt: skip
        assert list(trail.read_actions(store, resource("trail-none"), AT, AT + 10_000_000)) == []


def row(**values: object) -> dict[str, object]:
    return {
        "at": 1, "session_id": "s", "seq": 1, "agent": "a", "statement": "", "fingerprint": "", "verdict": "allow",
        "database": "",
    } | values  # fmt: skip


def test_shapes_by_protocol() -> None:
    ended = {"ended": 1, "refused": 0, "duration_us": 5, "final_status": "200"}
    found = trail.make_done(row(statement="GET http://h/c/7"), ended, resource("r", "http"))
    assert found is not None and (found.shape, found.is_certain, found.user) == ("GET /c/{id}", True, "")
    for status in ("502", ""):
        found = trail.make_done(
            row(statement="GET http://h/c/7"), ended | {"final_status": status}, resource("r", "http")
        )
        assert found is not None and not found.is_certain
    found = trail.make_done(row(statement="no; sql"), ended | {"final_status": "42601"}, resource("r"))
    assert found is not None and (found.shape, found.texts) == (UNPARSABLE, ("no; sql",))
