"""Who may come in, and how it is recorded when somebody may not."""

from base64 import b64encode
from pathlib import Path

import httpx
import pytest

from tests.ingest.http.conftest import Captured, Front
from tests.support.http_edges import Edges
from tests.support.proxies import issue_credential, read_raw


def test_without_a_credential_there_is_a_challenge_and_a_record(edge: Front, edges: Edges) -> None:
    with httpx.Client(base_url=edge.url) as client:
        answer = client.get("/echo")
    assert answer.status_code == 401
    assert answer.headers.get_list("www-authenticate") == ['Bearer realm="custody"', 'Basic realm="custody"']
    assert answer.json()["code"] == "login_refused"
    trail = edge.trail()
    assert trail.kinds() == ["session.opened", "session.closed"]
    assert trail.events[-1].status == "login_refused"
    assert trail.context.principal == "unauthenticated"
    assert not edges.seen


@pytest.mark.parametrize(
    "value",
    [
        "Bearer agent-1.guessed",
        "Bearer nobody.secret",
        "Bearer",
        "Basic !!!",
        "Digest x",
        f"Bearer {'a' * 600}.b",
        "Bearer .",
    ],
)
def test_a_wrong_credential_is_refused_and_never_recorded(edge: Front, captured: Captured, value: str) -> None:
    with httpx.Client(base_url=edge.url) as client:
        assert client.get("/echo", headers={"Authorization": value}).status_code == 401
    assert edge.trail().events[-1].status == "login_refused"
    assert b"guessed" not in recorded_bytes(captured, edge)


def test_basic_and_bearer_both_open_a_session(edge: Front, captured: Captured) -> None:
    basic = b64encode(f"{captured.login.id}:{captured.login.secret}".encode()).decode()
    with httpx.Client(base_url=edge.url) as client:
        assert client.get("/echo", headers={"Authorization": f"Basic {basic}"}).status_code == 200
        assert client.get("/echo", headers={"Proxy-Authorization": f"Basic {basic}"}).status_code == 200
    assert len(edge.trail().of("action.completed")) == 2


def test_a_credential_for_another_resource_is_refused(edge: Front, captured: Captured) -> None:
    login = issue_credential(captured.home, captured.proxy.writer, "agent-elsewhere", ("other",))
    headers = {"Authorization": f"Bearer {login.id}.{login.secret}"}
    assert httpx.get(f"{edge.url}/echo", headers=headers).status_code == 401
    trail = edge.trail()
    assert trail.context.credential_id == login.id
    assert trail.events[-1].attributes["error"] == f"credential is not for {edge.name}"


def test_the_credential_is_neither_recorded_nor_forwarded(edge: Front, captured: Captured, edges: Edges) -> None:
    secret = captured.login.secret
    with httpx.Client(base_url=edge.url, headers=captured.bearer) as client:
        assert client.get("/echo", headers={"X-Note": "fine"}).status_code == 200
        assert client.get(f"/echo?key={secret}").status_code == 400
        assert client.get("/echo", headers={"Cookie": f"session={secret}"}).status_code == 400
        assert client.post("/echo", content=f"key={secret}").status_code == 400
        with pytest.raises(httpx.TransportError):
            client.post("/echo", content=iter([b"start", f"key={secret}".encode()]))
    trail = edge.trails(1)[0]
    assert [event.status for event in trail.of("action.completed")] == ["200", "400", "400", "400", "499"]
    everything = recorded_bytes(captured, edge)
    encoded = b64encode(f"{captured.login.id}:{secret}".encode())
    assert secret.encode() not in everything and encoded not in everything
    assert secret not in repr(edges.seen)
    assert secret not in Path(captured.proxy.log).read_text()


def test_the_upstream_gets_the_resources_own_credential(api: Front, captured: Captured) -> None:
    token = (captured.home.secrets / "upstream/api.token").read_bytes()
    with httpx.Client(base_url=api.url, headers=captured.bearer) as client:
        assert client.get("/customers").status_code == 200
    api.trail()
    assert token not in recorded_bytes(captured, api)


def recorded_bytes(captured: Captured, front: Front) -> bytes:
    """Everything recorded on a resource, as text."""
    found = []
    for batch in read_raw(captured.home):
        found += [repr(item.event) + repr(batch.sessions[item.session]) for item in batch.events]
    return "".join(found).encode()
