"""The upstream's secret is read while the proxy runs: rotated, it is used; missing, nothing is forwarded."""

import time
from collections.abc import Callable

import httpx

from schemas.runtime import write_private
from tests.ingest.http.conftest import Captured
from tests.support.http_edges import Edges


def wait_for(is_so: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_rotated_secret_is_used_and_a_missing_one_refuses(captured: Captured, edges: Edges) -> None:
    path = captured.home.secrets / "upstream/rotated.key"
    front = captured.front(edges.port, upstream={"secret": "file:upstream/rotated.key"})
    with httpx.Client(base_url=front.url, headers=captured.bearer) as client:
        refused = client.get("/echo")
        assert (refused.status_code, refused.json()["code"]) == (502, "upstream_secret_missing")
        assert not edges.seen
        for secret in ("first-key", "second-key"):
            write_private(path, secret.encode())
            wait_for(lambda: client.get("/echo").status_code == 200)
            expected = f"Bearer {secret}"
            wait_for(lambda expected=expected: client.get("/echo").json()["headers"]["authorization"] == expected)  # type: ignore[misc]
        write_private(path, b"")
        wait_for(lambda: client.get("/echo").status_code == 502)
        path.unlink()
        seen = len(edges.seen)
        upload = client.post("/echo", content=iter([b"one", b"two"]))
        assert (upload.status_code, upload.json()["error"]) == (502, "the secret for the upstream is missing")
        assert len(edges.seen) == seen
    outcomes = [event.status for trail in front.trails() for event in trail.of("action.completed")]
    assert (outcomes[0], outcomes[-1], "200" in outcomes) == ("502", "502", True)
    assert "rotated.key" in captured.proxy.log.read_text()
