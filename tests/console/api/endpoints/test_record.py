import pytest

from console.api.endpoints.record import CURSOR_END, read_cursor
from console.api.problems import Problem
from tests.support.api import Api, document_of


def test_sessions_are_those_of_the_command(api: Api) -> None:
    found = document_of(api.ask("GET", "/v1/sessions", "auditor"))["sessions"]
    assert {row["session_id"]: row["state"] for row in found} == {"s1": "closed", "s2": "opened"}
    first = next(row for row in found if row["session_id"] == "s1")
    assert (first["actions"], first["refused"], first["row_count"]) == (2, 1, 2)
    with_own = document_of(api.ask("GET", "/v1/sessions?custody=true", "auditor"))["sessions"]
    assert len(with_own) == 3
    words = document_of(api.ask("GET", "/v1/sessions?text=drop+cards", "auditor"))["sessions"]
    assert [row["session_id"] for row in words] == ["s1"]


def test_a_session_is_replayed_page_by_page(api: Api) -> None:
    seen, after, pages = [], 0, 0
    while True:
        page = document_of(api.ask("GET", f"/v1/sessions/s1/events?limit=2&after={after}", "auditor"))
        seen += page["events"]
        after, pages = page["next_after"], pages + 1
        if not after:
            break
    assert page["is_closed"] and pages == 3
    assert [event["seq"] for event in seen] == [1, 2, 3, 4, 5]
    assert page["session"]["delegation"] == [{"actor": "executor", "on_behalf_of": "planner"}]
    assert seen[1]["masked"] == [{"label": "payment_card", "count": 1, "token": "abc", "place": "statement"}]
    assert seen[1]["parameters"] == ["9", None]


def test_events_by_filters_newest_first_page_by_page(api: Api) -> None:
    seen, cursor = [], ""
    for _ in range(10):
        page = document_of(api.ask("GET", f"/v1/events?agent=planner&limit=2&cursor={cursor}", "auditor"))
        seen += [(event["session_id"], event["seq"]) for event in page["events"]]
        cursor = page["next"]
        if not cursor:
            break
    assert seen == [("s1", 5), ("s1", 4), ("s1", 3), ("s1", 2), ("s1", 1)]
    denied = document_of(api.ask("GET", "/v1/events?verdict=deny", "auditor"))["events"]
    assert [event["statement"] for event in denied] == ["DROP TABLE cards"]
    assert document_of(api.ask("GET", "/v1/events?until=3h", "auditor"))["events"] == []


@pytest.mark.parametrize("filter", ["agent=' OR 1=1 --", "text=x') OR 1", "principal=%27%3B DROP TABLE events"])
def test_filters_are_values_and_never_sql(api: Api, filter: str) -> None:
    assert document_of(api.ask("GET", f"/v1/events?{filter}", "auditor"))["events"] == []


def test_detections_by_severity(api: Api) -> None:
    (found,) = document_of(api.ask("GET", "/v1/detections?severity=high", "auditor"))["detections"]
    assert (found["rule"], found["evidence"]) == ("failed_burst", ["s1.2"])
    assert document_of(api.ask("GET", "/v1/detections?severity=critical", "auditor"))["detections"] == []


def test_sql_is_answered_and_recorded_as_the_statement(api: Api) -> None:
    sql = "SELECT session_id, count() AS n FROM custody.events GROUP BY session_id ORDER BY session_id"
    answer = document_of(api.ask("POST", "/v1/query", "auditor", json={"sql": sql}))
    assert [column["name"] for column in answer["columns"]] == ["session_id", "n"]
    assert answer["rows"][1][0] == "s1"
    assert api.recorded("query")[-1][1][1].statement == sql


def test_a_result_is_bounded(api: Api) -> None:
    sql = "SELECT repeat('x', 1000000) FROM system.numbers LIMIT 100"
    response = api.ask("POST", "/v1/query", "auditor", json={"sql": sql})
    assert response.status_code == 400 and len(response.content) < 10_000


def test_a_cursor_is_what_a_page_gave() -> None:
    assert read_cursor("") == CURSOR_END
    assert read_cursor("17.3.s-1") == (17, "s-1", 3)
    for text in ("17", "17.x.s", "17.3.", "17.3.a b", "9" * 30 + ".1.s", "17.3.s;DROP"):
        with pytest.raises(Problem):
            read_cursor(text)
