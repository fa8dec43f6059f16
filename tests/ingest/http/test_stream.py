"""One request after another through the reverse listener, and what of it is on record."""

import httpx
import pytest

from tests.ingest.http.conftest import RULED, Captured, Front
from tests.support.http_edges import Edges


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


REFUSED = [
    ("no-delete", "DELETE /echo", "deny", "orders are cancelled, not deleted"),
    ("no-redirect", "GET /redirect", "deny", "denied by policy"),
    ("no-get", "GET /echo", "mask", "the answer would have to be masked, but no detector has the label nonsense"),
]


@pytest.mark.parametrize(("rule", "action", "verdict", "reason"), REFUSED)
def test_a_rule_of_the_policy_file_refuses(
    captured: Captured, edges: Edges, rule: str, action: str, verdict: str, reason: str
) -> None:
    front = captured.front(edges.port, labels=RULED)
    method, path = action.split()
    content = b"kept" if method == "POST" else None
    with httpx.Client(base_url=front.url, headers=captured.bearer) as client:
        answer = client.request(method, path, content=content)
        assert (answer.status_code, answer.json()) == (403, {"error": reason, "code": "denied"})
        assert client.get("/packed").status_code == 200  # no rule speaks of it; the connection goes on
    assert [request.target for request in edges.seen] == ["/packed"]
    trail = front.trail()
    request, decision, outcome = trail.events[1:4]
    assert (request.kind, request.verdict, request.payload) == ("action.requested", verdict, content or b"")
    assert (decision.kind, decision.verdict, decision.error) == (
        "action.decided",
        verdict,
        "" if reason == "denied by policy" else reason,
    )
    assert decision.attributes["policy.ids"] == rule
    assert (outcome.kind, outcome.status, outcome.error) == ("action.completed", "403", reason)


def test_a_held_upload_is_refused_before_its_body_is_read(captured: Captured, edges: Edges) -> None:
    front = captured.front(edges.port, labels=RULED)
    with httpx.Client(base_url=front.url, headers=captured.bearer) as client:
        answer = client.post("/echo", content=iter([b"one", b"two"]))
    assert (answer.status_code, answer.json()["code"]) == (403, "denied")
    assert answer.json()["error"].startswith("big orders: a person cannot see all of a body")
    assert not edges.seen
    assert front.trail().of("action.requested")[0].verdict == "hold"
