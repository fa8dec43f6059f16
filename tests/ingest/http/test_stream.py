"""One request after another through the reverse listener, and what of it is on record."""

import httpx

from tests.ingest.http.conftest import Captured, Front


def test_a_read_and_a_write_are_recorded_with_what_came_back(captured: Captured, api: Front) -> None:
    with httpx.Client(base_url=api.url, headers=captured.bearer) as client:
        listed = client.get("/customers", headers={"traceparent": "00-abc-def-01", "X-Custody-Plan-Step": "3"})
        assert listed.status_code == 200
        assert listed.json()[0]["name"] == "Ada Example"
        created = client.post("/orders", json={"customer_id": 1, "item": "pen", "quantity": 2})
        assert created.status_code == 201
    trail = api.trail()
    assert trail.kinds() == [
        "session.opened",
        "action.requested",
        "action.completed",
        "action.requested",
        "action.completed",
        "session.closed",
    ]
    assert trail.context.principal == "ann@example.test"
    read, write = trail.of("action.requested")
    assert read.statement.startswith("GET http://127.0.0.1:")
    assert read.statement.endswith("/customers")
    assert read.links == {"traceparent": "00-abc-def-01", "plan_step": "3"}
    assert read.verdict == "allow"
    assert write.payload == b'{"customer_id":1,"item":"pen","quantity":2}'
    assert (write.payload_type, write.payload_bytes, write.operation) == ("json", 43, "write")
    assert "header.authorization" not in write.attributes
    shown, made = trail.of("action.completed")
    assert (shown.status, made.status) == ("200", "201")
    assert shown.payload == listed.content
    assert made.action_id == write.action_id
    assert made.payload_digest and made.duration_us > 0
    closed = trail.events[-1]
    assert closed.status == "agent_closed"
    assert int(closed.attributes["bytes.to_agent"]) == len(listed.content) + len(created.content)
