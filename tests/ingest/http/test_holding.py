"""Requests that wait for a person: they go on as people decide, and nothing of them is sent before."""

import threading
import time

import httpx

from tests.ingest.http.conftest import RULED, Captured, Front
from tests.support.approvals import decide, events_of, wait_for_held
from tests.support.http_edges import Edges


class Asked(threading.Thread):
    """A request in a thread of its own, since it waits."""

    def __init__(self, captured: Captured, front: Front, **arguments: object) -> None:
        super().__init__(daemon=True)
        self.client = httpx.Client(base_url=front.url, headers=captured.bearer, timeout=60)
        self.arguments = {"json": {"item": "pen"}} | arguments
        self.answer: httpx.Response
        self.error: httpx.HTTPError | None = None
        self.start()

    def run(self) -> None:
        try:
            self.answer = self.client.post("/echo", **self.arguments)  # type: ignore[arg-type]
        except httpx.HTTPError as error:
            self.error = error

    def wait(self) -> httpx.Response:
        self.join(60)
        assert not self.is_alive() and self.error is None
        return self.answer


def test_an_approved_request_goes_on_and_its_person_is_on_record(captured: Captured, edges: Edges) -> None:
    front = captured.front(edges.port, labels=RULED)
    asked = Asked(captured, front)
    event = wait_for_held(captured.proxy, front.name)
    assert not edges.seen and asked.is_alive()
    assert (event.payload, event.payload_type) == (b'{"item":"pen"}', "json")
    assert event.attributes["approval.reason"] == "big orders"
    decide(captured.proxy, event, reason="fine")
    assert asked.wait().status_code == 200
    assert asked.client.get("/packed").status_code == 200  # the connection goes on
    asked.client.close()
    (trail,) = front.trails()
    assert [event.kind for event in trail.events][1:5] == [
        "action.requested", "approval.requested", "approval.decided", "action.completed",
    ]  # fmt: skip
    (decided,) = trail.of("approval.decided")
    assert (decided.status, decided.attributes["approval.approver"]) == ("approved", "bob@example.test")
    assert decided.attributes["approval.comment"] == "fine"


def test_a_denied_request_says_so_and_reaches_nobody(captured: Captured, edges: Edges) -> None:
    front = captured.front(edges.port, labels=RULED)
    asked = Asked(captured, front)
    event = wait_for_held(captured.proxy, front.name)
    decide(captured.proxy, event, verdict="deny", reason="not today")
    answer = asked.wait()
    id = event.attributes["approval.id"]
    assert answer.status_code == 403
    assert answer.json() == {
        "error": f"not approved: denied by bob@example.test: not today (approval {id})",
        "code": "approval_denied",
        "approval": id,
    }
    assert not edges.seen
    asked.client.close()
    (trail,) = front.trails()
    assert [event.verdict for event in trail.of("action.decided")] == ["deny"]
    assert trail.of("action.completed")[0].status == "403"


def test_an_agent_that_breaks_off_takes_its_request_back(captured: Captured, edges: Edges) -> None:
    front = captured.front(edges.port, labels=RULED)
    asked = Asked(captured, front, timeout=0.5)
    event = wait_for_held(captured.proxy, front.name)
    asked.join(60)
    assert isinstance(asked.error, httpx.ReadTimeout)
    asked.client.close()
    (trail,) = front.trails()
    decide(captured.proxy, event)  # too late: nothing waits any more
    time.sleep(0.3)
    assert not edges.seen
    (decided,) = trail.of("approval.decided")
    assert (decided.status, decided.verdict) == ("withdrawn", "deny")
    assert trail.events[-1].kind == "session.closed"
    assert events_of(captured.proxy, front.name, "approval.decided") == [decided]
