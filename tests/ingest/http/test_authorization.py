"""What a listener of an MCP server says of its tokens: pure, and over the wire."""

import httpx
import pytest
from mitmproxy.http import Request

from ingest.http.authorization import asks_for_metadata, base_url, challenge, plain_path
from schemas.oauth_metadata import PROTECTED_RESOURCE
from schemas.resources import Resource
from tests.ingest.http.conftest import Captured
from tests.support.scripted_upstream import Scripted

SERVER = Resource(name="tools", protocol="http", listen=0, upstream={"host": "x", "port": 1}, speaks="mcp")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "public", "base"),
    [
        ("127.0.0.1:9", "", "http://127.0.0.1:4711"),
        ("localhost:9", "", "http://localhost:4711"),
        ("[::1]:9", "", "http://[::1]:4711"),
        ("custody.example", "custody.example", "http://custody.example:4711"),
        ("evil.example", "custody.example", "http://custody.example:4711"),
        ("evil.example", "", "http://127.0.0.1:4711"),
        ('x"y', "", "http://127.0.0.1:4711"),
        ("", "", "http://127.0.0.1:4711"),
    ],
)
def test_a_listener_has_no_name_but_its_own(host: str, public: str, base: str) -> None:
    request = Request.make("GET", "http://x/mcp")
    request.headers["Host"] = host
    assert base_url(request, public, port=4711, is_tls=False) == base


def test_what_cannot_stand_in_a_header_is_left_out() -> None:
    request = Request.make("POST", "http://127.0.0.1/mcp?x=1")
    wanted = f'Bearer realm="custody", resource_metadata="http://127.0.0.1:80{PROTECTED_RESOURCE}/mcp"'
    assert challenge(request, "", port=80, is_tls=False) == (b"WWW-Authenticate", wanted.encode())
    for path in ('/a"b', "/a b", "/" + "x" * 600, "/é"):
        request.path = path
        assert plain_path(request) == ""


def test_only_mcp_servers_are_described() -> None:
    request = Request.make("GET", f"http://x{PROTECTED_RESOURCE}/mcp")
    assert asks_for_metadata(request, SERVER)
    assert not asks_for_metadata(request, None)
    assert not asks_for_metadata(request, SERVER.model_copy(update={"speaks": ""}))
    assert not asks_for_metadata(Request.make("POST", f"http://x{PROTECTED_RESOURCE}"), SERVER)
    assert not asks_for_metadata(Request.make("GET", f"http://x{PROTECTED_RESOURCE}s"), SERVER)


def test_who_has_no_token_is_led_to_where_there_are_some(captured: Captured, scripted: Scripted) -> None:
    front = captured.front(scripted.port, speaks="mcp")
    refused = httpx.post(f"{front.url}/mcp", json={}, trust_env=False)
    where = f"{front.url}{PROTECTED_RESOURCE}/mcp"
    assert refused.status_code == 401 and f'resource_metadata="{where}"' in refused.headers["WWW-Authenticate"]
    described = httpx.get(where, trust_env=False)
    assert described.status_code == 200 and described.headers["Content-Type"] == "application/json"
    found = described.json()
    assert found["resource"] == f"{front.url}/mcp" and found["authorization_servers"][0].startswith("http://127.0.0.1:")
    plain = captured.front(scripted.port)
    assert "resource_metadata" not in httpx.get(plain.url, trust_env=False).headers["WWW-Authenticate"]
    assert httpx.get(f"{plain.url}{PROTECTED_RESOURCE}", trust_env=False).status_code == 401
    assert scripted.seen == []
