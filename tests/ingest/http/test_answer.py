"""What a client would notice of an intermediary."""

import subprocess
import threading
import time

import httpx

from tests.ingest.http.conftest import Captured, Front
from tests.support.http_edges import Edges


def test_a_chunk_arrives_before_the_next_one_exists(captured: Captured, edge: Front, edges: Edges) -> None:
    with (
        httpx.Client(base_url=edge.url, headers=captured.bearer) as client,
        client.stream("GET", "/late") as answer,
    ):
        pieces = answer.iter_bytes()
        assert next(pieces) == b"first\n"
        time.sleep(0.5)  # long enough for the progress record of what was already delivered
        httpx.get(f"http://127.0.0.1:{edges.port}/go")
        assert next(pieces) == b"second\n"
    trail = edge.trail()
    (progress,) = trail.of("data.received")
    (outcome,) = trail.of("action.completed")
    assert progress.payload == b"first\n"
    assert (outcome.payload, outcome.payload_bytes) == (b"second\n", 13)


def test_a_redirect_leads_back_to_the_listener(captured: Captured, edge: Front) -> None:
    with httpx.Client(base_url=edge.url, headers=captured.bearer, follow_redirects=True) as client:
        answer = client.get("/redirect")
    assert answer.status_code == 200
    assert str(answer.url) == f"{edge.url}/echo"


def test_the_upstream_sees_its_own_name_and_no_custody(captured: Captured, edge: Front, edges: Edges) -> None:
    headers = {**captured.bearer, "X-Custody-Plan-Step": "1", "X-Other": "kept", "Expect": "100-continue"}
    with httpx.Client(base_url=edge.url, headers=headers) as client:
        seen = client.post("/echo", content=b"hello").json()
    assert seen["headers"]["host"] == f"127.0.0.1:{edges.port}"
    assert seen["headers"]["x-forwarded-host"] == edge.host
    assert seen["headers"]["x-other"] == "kept"
    assert seen["bytes"] == 5
    assert not {"authorization", "x-custody-plan-step", "expect"} & set(seen["headers"])


def test_coded_content_is_recorded_as_it_reads(captured: Captured, edge: Front) -> None:
    with httpx.Client(base_url=edge.url, headers=captured.bearer) as client:
        assert client.get("/packed").json() == {"card": "none"}
        assert len(client.get("/bomb").content) == 50 << 20
    packed, bomb = edge.trail().of("action.completed")
    assert (packed.payload, packed.attributes["payload.decoded"]) == (b'{"card": "none"}', "gzip")
    assert bomb.payload == bytes(65_536)


def test_answers_without_content_keep_their_head(captured: Captured, edge: Front) -> None:
    with httpx.Client(base_url=edge.url, headers=captured.bearer) as client:
        answer = client.get("/empty")
        assert (answer.status_code, answer.headers["etag"], answer.content) == (304, '"1"', b"")
        assert client.head("/echo").status_code in (200, 502)


def test_an_early_refusal_reaches_an_uploading_client(captured: Captured, edge: Front) -> None:
    command = [
        "curl",
        "-sS",
        "-H",
        f"Authorization: {captured.bearer['Authorization']}",
        "-T",
        "-",
        f"{edge.url}/early",
    ]
    process = subprocess.run(command, input=bytes(1 << 20), capture_output=True, timeout=30)
    assert process.stdout == b"full"


def test_many_agents_at_once(captured: Captured, edge: Front) -> None:
    def ask() -> None:
        with httpx.Client(base_url=edge.url, headers=captured.bearer) as client:
            for _ in range(3):
                assert client.get("/echo").status_code == 200

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trails = edge.trails(20)
    assert [len(trail.of("action.completed")) for trail in trails] == [3] * 20
