from typing import Any

from console import history
from console.control import find_place
from console.store import Store, open_store
from schemas.runtime import now_us
from tests.console.conftest import Record, event


def row(at: int, kind: str, rows: int = 0, session: str = "s") -> dict[str, Any]:
    return {
        "at_us": at, "session_id": session, "seq": at, "kind": kind, "principal": "ann", "agent": "planner",
        "resource": "db", "protocol": "postgres", "source_ip": "127.0.0.1", "statement": "SELECT 1",
        "operation": "read", "objects": ["read t"], "verdict": "allow", "is_truncated": False, "rows": rows,
        "groups": "a,b", "step": "2",
    }  # fmt: skip


class Pages:
    """Stands in for the store: answers page by page, and notes after which place."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows_ = rows
        self.places: list[tuple[int, str, int]] = []

    def rows(self, sql: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        place = (parameters["at"], parameters["session_id"], parameters["seq"])
        self.places.append(place)
        after = [each for each in self.rows_ if (each["at_us"], each["session_id"], each["seq"]) > place]
        return after[: parameters["limit"]]


def test_actions_come_in_order_with_the_rows_read_before(monkeypatch: Any) -> None:
    monkeypatch.setattr(history, "PAGE_ROWS", 2)
    pages: Any = Pages(
        [
            row(10, "action.requested"), row(11, "action.completed", 5), row(12, "action.requested"),
            row(13, "action.requested", session="other"), row(14, "action.completed", 7), row(15, "action.requested"),
        ]
    )  # fmt: skip
    found = list(history.read_history(pages, 10, 99))
    assert [(each.session_id, each.rows_read) for each in found] == [("s", 0), ("s", 5), ("other", 0), ("s", 12)]
    assert (found[0].groups, found[0].weekday) == (("a", "b"), 4)
    assert found[0].step == "2"
    assert len(pages.places) == 4
    assert isinstance(Store, type)


def test_destinations_that_are_no_resource_are_not_for_policies(growing: Record) -> None:
    asked = {"kind": "action.requested", "verdict": "deny", "statement": "GET http://h/"}
    growing.insert(
        "events",
        [
            event(2, offset=7001, session_id="history-a", resource="unregistered", upstream="unregistered:1", **asked),
            event(2, offset=7002, session_id="history-b", resource="orders", upstream="db:5432", **asked),
        ],
    )
    with open_store(find_place()) as store:
        found = list(history.read_history(store, 0, now_us()))
    assert {each.session_id for each in found if each.session_id.startswith("history-")} == {"history-b"}
