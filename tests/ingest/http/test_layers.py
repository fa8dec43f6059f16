"""HTTP/2 through an intercepted tunnel, and what a tunnel may not do."""

import asyncio
import subprocess

import httpx

from tests.ingest.http.conftest import Captured, Front, trusting
from tests.support.http2_upstream import TOTAL, Http2Upstream


def test_http2_on_both_legs_through_an_intercepted_tunnel(
    captured: Captured, secure: Front, upstream: Http2Upstream
) -> None:
    base = f"https://localhost:{upstream.port}"
    with httpx.Client(proxy=captured.proxy_url, verify=trusting(captured), http2=True) as client:
        answers = [client.get(f"{base}/one"), client.get(f"{base}/big"), client.post(f"{base}/two", content=b"x" * 10)]
        assert [answer.http_version for answer in answers] == ["HTTP/2"] * 3
        assert (answers[0].text, len(answers[1].content), answers[2].text) == ("/one", TOTAL, "/two")
    assert upstream.protocols == ["h2"]
    trail = secure.trail()
    requests = trail.of("action.requested")
    assert requests[0].statement == f"GET https://localhost:{upstream.port}/one"
    assert requests[0].attributes["http.version"] == "HTTP/2.0 TLSv1.3"
    assert [event.payload_bytes for event in trail.of("action.completed")] == [4, TOTAL, 4]


def test_http2_trailers_and_hints(captured: Captured, secure: Front, upstream: Http2Upstream) -> None:
    url = f"https://localhost:{upstream.port}/trailers"
    command = ["curl", "-sS", "-i", "--http2", "-x", captured.proxy_url, "--cacert", captured.ca, url]
    output = subprocess.run(command, capture_output=True, check=True, timeout=20).stdout
    assert b"HTTP/2 103" in output
    assert b"x-sum: 42" in output
    (outcome,) = secure.trail().of("action.completed")
    assert outcome.attributes["trailer.x-sum"] == "42"


def test_a_concurrent_stream_is_not_held_by_another(captured: Captured, secure: Front, upstream: Http2Upstream) -> None:
    async def ask() -> list[int]:
        proxy, context = captured.proxy_url, trusting(captured)
        async with httpx.AsyncClient(proxy=proxy, verify=context, http2=True) as client:
            urls = [f"https://localhost:{upstream.port}/{name}" for name in ("big", *range(20), "big")]
            await client.get(f"https://localhost:{upstream.port}/first")  # from here on it knows the protocol
            return [len(answer.content) for answer in await asyncio.gather(*map(client.get, urls))]

    sizes = asyncio.run(ask())
    assert (sizes[0], sizes[-1]) == (TOTAL, TOTAL)
    assert upstream.protocols == ["h2"]
    assert len(sizes) == 22


def test_an_http1_agent_meets_an_upstream_without_http1(
    captured: Captured, secure: Front, upstream: Http2Upstream
) -> None:
    with httpx.Client(proxy=captured.proxy_url, verify=trusting(captured)) as client:
        assert client.get(f"https://localhost:{upstream.port}/x").status_code == 502


def test_another_host_within_a_tunnel_is_refused(captured: Captured, secure: Front, upstream: Http2Upstream) -> None:
    with httpx.Client(proxy=captured.proxy_url, verify=trusting(captured)) as client:
        answer = client.get(f"https://localhost:{upstream.port}/x", headers={"Host": "other.test"})
    assert answer.status_code == 403
