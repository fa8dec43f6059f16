"""Listeners: the regular proxy, resources that come and go, TLS of our own."""

import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest

from schemas.events import ControlKind
from schemas.runtime import Home, read_run_state
from tests.ingest.http.conftest import Captured, Front
from tests.support.homes import connect_home
from tests.support.http2_upstream import write_certificate
from tests.support.http_edges import Edges
from tests.support.kafka import Kafka
from tests.support.proxies import issue_credential, read_trails, run_proxy


def test_the_regular_proxy_reaches_registered_destinations_only(edge: Front, captured: Captured, edges: Edges) -> None:
    with httpx.Client(proxy=captured.proxy_url) as client:
        assert client.get(f"http://127.0.0.1:{edge.upstream_port}/echo").status_code == 200
        refused = client.get("http://127.0.0.1:1/secret")
    assert (refused.status_code, refused.json()["code"]) == (403, "denied")
    assert edge.trail().of("action.requested")[0].statement == f"GET http://127.0.0.1:{edge.upstream_port}/echo"
    denied = [t for t in read_trails(captured.home, "unregistered") if t.of("action.completed")][-1]
    (request,) = denied.of("action.requested")
    assert (request.statement, request.verdict) == ("GET http://127.0.0.1:1/secret", "deny")
    assert denied.context.principal == "ann@example.test"


def test_the_regular_proxy_challenges(captured: Captured) -> None:
    port = captured.proxy.ports["http_proxy"]
    with httpx.Client(proxy=f"http://127.0.0.1:{port}") as client:
        answer = client.get("http://127.0.0.1:1/")
    assert answer.status_code == 407
    assert 'Basic realm="custody"' in answer.headers.get_list("proxy-authenticate")


def test_a_removed_resource_closes_its_listener_and_sessions(edge: Front, captured: Captured) -> None:
    with httpx.Client(base_url=edge.url, headers=captured.bearer) as client:
        assert client.get("/echo").status_code == 200
        captured.proxy.writer.put(ControlKind.RESOURCE, edge.name, None)
        assert edge.trail().events[-1].status == "resource_removed"
        with pytest.raises(httpx.TransportError):
            client.get("/echo")


def test_a_taken_port_is_an_alarm_until_it_is_free(captured: Captured, edges: Edges) -> None:
    def alarms() -> dict[str, str]:
        state = read_run_state(captured.home, "proxy-http")
        return dict(state.detail["alarms"]) if state else {}

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        upstream = {"host": "127.0.0.1", "port": edges.port}
        values = {"name": "taken", "protocol": "http", "listen": port, "upstream": upstream}
        captured.proxy.writer.put(ControlKind.RESOURCE, "taken", values)
        captured.proxy.wait_for(lambda: "taken" in alarms())
        assert f"port {port} of taken cannot be opened" in alarms()["taken"]
    captured.proxy.wait_for(lambda: "taken" in captured.proxy.ports)
    assert "taken" not in alarms()
    captured.proxy.writer.put(ControlKind.RESOURCE, "taken", None)


def test_a_still_connection_is_closed(captured: Captured, edges: Edges) -> None:
    front = captured.front(edges.port, limits={"idle_timeout_s": 1})
    with httpx.Client(base_url=front.url, headers=captured.bearer) as client:
        assert client.get("/echo").status_code == 200
        assert front.trail().events[-1].status == "idle_timeout"


def test_listeners_with_tls_speak_http2(bare_home: Home, own_kafka: Kafka, edges: Edges, tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    files = {"tls_certificate": str(certificate), "tls_key": str(key)}
    connect_home(bare_home, own_kafka, ports={"http_proxy": 0}, capture=files)
    with run_proxy(bare_home, "ingest.http", "proxy-http") as proxy:
        login = issue_credential(bare_home, proxy.writer, "agent-tls")
        resource = proxy.register(f"tls-{edges.port}", "http", {"host": "127.0.0.1", "port": edges.port})
        context = ssl.create_default_context(cafile=str(certificate))
        bearer = {"Authorization": f"Bearer {login.id}.{login.secret}"}
        with httpx.Client(http2=True, verify=context, headers=bearer) as client:
            sent = client.post(f"https://localhost:{resource.listen}/echo", content=iter([b"one", b"two"]))
            assert (sent.http_version, sent.json()["bytes"]) == ("HTTP/2", 6)
            assert len(client.get(f"https://localhost:{resource.listen}/big?bytes=3000000").content) == 3_000_000
        hostile = ["openssl", "s_client", "-quiet", "-alpn", "h2", "-connect", f"localhost:{resource.listen}"]
        subprocess.run(hostile, input=b"PRI * HTTP/2.0\r\n\r\nnot frames" * 9, capture_output=True, timeout=20)
        deadline = time.monotonic() + 10
        while "bad_request" not in {trail.events[-1].status for trail in read_trails(bare_home, resource.name)}:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_who_is_quarantined_is_out_and_told_why(captured: Captured, edges: Edges) -> None:
    front = captured.front(edges.port)
    login = issue_credential(captured.home, captured.proxy.writer, "wild-agent", principal="wild@example.test")
    bearer = {"Authorization": f"Bearer {login.id}.{login.secret}"}
    entry = {"kind": "principal", "name": "wild@example.test", "reason": "it ran wild", "by": "bob", "at": 1}
    with httpx.Client(base_url=front.url, headers=bearer, timeout=60) as client:
        assert client.get("/packed").status_code == 200
        waiting = threading.Thread(target=lambda: failures.append(_failure_of(client)))
        failures: list[tuple[float, str]] = []
        waiting.start()
        captured.proxy.wait_for(lambda: any(request.target == "/silence" for request in edges.seen))
        captured.proxy.writer.put(ControlKind.QUARANTINE, "principal:wild@example.test", entry)
        at = time.monotonic()
        waiting.join(30)
    assert failures[0][0] - at < 1.0
    refused = httpx.get(f"{front.url}/packed", headers=bearer)
    assert (refused.status_code, refused.json()) == (
        403,
        {"error": "principal wild@example.test is quarantined: it ran wild", "code": "quarantined"},
    )
    captured.proxy.writer.put(ControlKind.QUARANTINE, "principal:wild@example.test", None)
    captured.proxy.wait_for(lambda: httpx.get(f"{front.url}/packed", headers=bearer).status_code == 200)
    trails = front.trails(3)
    assert [trail.events[-1].status for trail in trails][:2] == ["quarantined", "quarantined"]
    assert all("it ran wild" in str(trail.events[-1].attributes) for trail in trails[:2])


def _failure_of(client: httpx.Client) -> tuple[float, str]:
    try:
        client.get("/silence")
    except httpx.HTTPError as error:
        return time.monotonic(), type(error).__name__
    raise AssertionError("it was answered")
