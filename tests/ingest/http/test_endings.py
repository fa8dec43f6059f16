"""Ends that are not the upstream's own: what upstreams do wrong, what agents break off."""

import time

import httpx
import pytest

from tests.ingest.http.conftest import Captured, Front
from tests.support.http_edges import Edges


def test_an_answer_cut_short_is_never_complete(captured: Captured, edge: Front) -> None:
    with httpx.Client(base_url=edge.url, headers=captured.bearer) as client, pytest.raises(httpx.TransportError):
        client.get("/cut")
    trail = edge.trail()
    (outcome,) = trail.of("action.completed")
    assert trail.events[-1].status == "upstream_closed"
    assert (outcome.status, outcome.error) == ("499", "the upstream broke off")


@pytest.mark.parametrize("path", ["/garbage", "/endless-head", "/unasked-upgrade"])
def test_a_broken_upstream_is_a_502(captured: Captured, edge: Front, path: str) -> None:
    with httpx.Client(base_url=edge.url, headers=captured.bearer) as client:
        answer = client.get(path)
    assert answer.status_code == 502
    assert answer.json()["code"] == "upstream_failed"
    (outcome,) = edge.trail().of("action.completed")
    assert outcome.status == "502"


def test_an_absent_upstream_is_a_502(captured: Captured) -> None:
    front = captured.front(9)
    with httpx.Client(base_url=front.url, headers=captured.bearer) as client:
        assert client.get("/").json() == {"error": "the upstream cannot be reached", "code": "upstream_failed"}
    (outcome,) = front.trail().of("action.completed")
    assert outcome.status == "502"


def test_an_agent_that_leaves_ends_the_upstream_request_and_the_session(
    captured: Captured, edge: Front, edges: Edges
) -> None:
    with httpx.Client(base_url=edge.url, headers=captured.bearer, timeout=0.5) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.get("/silence")
    trail = edge.trail()
    assert trail.events[-1].status == "agent_disconnected"
    assert trail.of("action.completed")[0].error == "the agent broke off"
    deadline = time.monotonic() + 5
    while edges.open and time.monotonic() < deadline:
        time.sleep(0.02)
    assert edges.open == 0


def test_a_credential_within_an_upload_breaks_it_off(captured: Captured, edge: Front) -> None:
    with httpx.Client(base_url=edge.url, headers=captured.bearer) as client, pytest.raises(httpx.TransportError):
        client.post("/echo", content=iter([b"start", f"key={captured.login.secret}".encode()]))
    assert edge.trail().events[-1].status == "bad_request"
