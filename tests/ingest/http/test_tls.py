"""The interception CA, and the checks of an upstream's certificate."""

import subprocess
from pathlib import Path

import httpx
import pytest

from tests.ingest.http.conftest import Captured, Front
from tests.support.http2_upstream import Http2Upstream


def test_an_untrusted_upstream_is_refused(captured: Captured, upstream: Http2Upstream) -> None:
    front = captured.front(upstream.port, upstream={"host": "localhost", "tls": "verify"})
    with httpx.Client(base_url=front.url, headers=captured.bearer) as client:
        assert client.get("/x").json()["code"] == "upstream_failed"


def test_openssl_sees_our_authority(captured: Captured, secure: Front, upstream: Http2Upstream) -> None:
    port = captured.proxy.ports["http_proxy"]
    login = ["-proxy_user", captured.login.id, "-proxy_pass", "env:SECRET"]
    command = ["openssl", "s_client", "-proxy", f"127.0.0.1:{port}", *login, "-connect", f"localhost:{upstream.port}"]
    environment = {"SECRET": captured.login.secret, "PATH": "/usr/bin:/bin"}
    output = subprocess.run(
        [*command, "-CAfile", captured.ca, "-servername", "localhost", "-verify_return_error", "-alpn", "h2"],
        input=b"",
        capture_output=True,
        timeout=20,
        env=environment,
    ).stdout
    assert b"Verify return code: 0 (ok)" in output
    assert b"CN = Custody interception CA" in output.replace(b"CN=", b"CN = ")
    assert b"ALPN protocol: h2" in output


def test_the_authoritys_key_is_private(captured: Captured) -> None:
    path = captured.home.ca / "custody-ca.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert not (Path.home() / ".mitmproxy").exists()


def test_an_agent_that_does_not_trust_us(captured: Captured, secure: Front, upstream: Http2Upstream) -> None:
    with httpx.Client(proxy=captured.proxy_url) as client, pytest.raises(httpx.ConnectError):
        client.get(f"https://localhost:{upstream.port}/x")
    assert secure.trail().events[-1].status == "tls_failed"
