"""How a connection lives and ends."""

import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from schemas.events import ControlKind
from tests.ingest.http.conftest import Captured, Front
from tests.support.proxies import issue_credential


def test_a_revoked_credential_ends_its_connection(edge: Front, captured: Captured) -> None:
    login = issue_credential(captured.home, captured.proxy.writer, "agent-revoked")
    headers = {"Authorization": f"Bearer {login.id}.{login.secret}"}
    with httpx.Client(base_url=edge.url, headers=headers) as client:
        assert client.get("/echo").status_code == 200
        captured.proxy.writer.put(ControlKind.REVOCATION, login.id, {"reason": "test"})
        assert edge.trail().events[-1].status == "credential_over"
        assert client.get("/echo").status_code == 401


def test_a_half_closed_client_is_let_go(edge: Front, captured: Captured) -> None:
    head = f"GET /silence HTTP/1.1\r\nHost: x\r\nAuthorization: {captured.bearer['Authorization']}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as connection:
        connection.sendall(head.encode())
        time.sleep(0.3)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(10) == b""
    assert edge.trail().events[-1].status == "agent_disconnected"


def test_no_descriptor_and_no_session_stays_open(edge: Front, captured: Captured) -> None:
    descriptors = Path(f"/proc/{captured.proxy.process.pid}/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(10):
        with httpx.Client(base_url=edge.url, headers=captured.bearer, timeout=0.3) as client:
            client.get("/echo")
            with pytest.raises(httpx.ReadTimeout):
                client.get("/silence")
    edge.trails(10)
    deadline = time.monotonic() + 10
    while len(list(descriptors.iterdir())) > before + 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(list(descriptors.iterdir())) <= before + 2


def test_curl_speaks_through_both_doors(edge: Front, captured: Captured) -> None:
    login = f"{captured.login.id}:{captured.login.secret}"
    reverse = ["curl", "-sS", "--fail", "-u", login, "-d", "a=1", f"{edge.url}/echo"]
    assert b'"bytes": 3' in subprocess.run(reverse, capture_output=True, check=True, timeout=20).stdout
    regular = ["curl", "-sS", "--fail", "-x", captured.proxy_url, f"http://127.0.0.1:{edge.upstream_port}/echo"]
    assert b'"bytes": 0' in subprocess.run(regular, capture_output=True, check=True, timeout=20).stdout
    assert len(edge.trails(2)) == 2
