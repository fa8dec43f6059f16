"""The head that an upstream gets, and the name that a request has on record."""

import pytest
from mitmproxy import http

from ingest.http.forwarding import body_size, is_websocket, readdress, statement_of
from schemas.resources import Upstream


def request(method: str = "GET", url: str = "http://127.0.0.1:9000/a?b=1", **headers: str) -> http.Request:
    found = http.Request.make(method, url)
    found.headers = http.Headers([(name.replace("_", "-").encode(), v.encode()) for name, v in headers.items()])
    return found


def upstream(**settings: object) -> Upstream:
    return Upstream.model_validate({"host": "api.test", "port": 8080, **settings})


@pytest.mark.parametrize(
    ("settings", "statement"),
    [
        ({}, "GET http://api.test:8080/a?b=1"),
        ({"port": 80}, "GET http://api.test/a?b=1"),
        ({"tls": "verify"}, "GET https://api.test:8080/a?b=1"),
        ({"tls": "require", "port": 443}, "GET https://api.test/a?b=1"),
    ],
)
def test_a_statement_names_the_upstream(settings: dict[str, object], statement: str) -> None:
    assert statement_of(request(), upstream(**settings)) == statement


def test_what_nobody_registered_keeps_its_name() -> None:
    assert statement_of(request(), None) == "GET http://127.0.0.1:9000/a?b=1"


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [
        ({}, "Authorization", "Bearer key"),
        ({"scheme": ""}, "Authorization", "key"),
        ({"header": "X-Api-Key", "scheme": ""}, "X-Api-Key", "key"),
    ],
)
def test_the_secret_stands_where_the_upstream_looks(settings: dict[str, object], name: str, value: str) -> None:
    asked = request(host="agent.test", authorization="old", proxy_authorization="x", x_custody_run="1", expect="x")
    readdress(asked, upstream(**settings), "key", "agent.test")
    assert asked.headers[name] == value
    assert asked.headers["Host"] == "api.test:8080"
    assert asked.headers["X-Forwarded-Host"] == "agent.test"
    assert not {"proxy-authorization", "x-custody-run", "expect"} & {key.lower() for key in asked.headers}
    assert (asked.data.host, asked.data.port, asked.scheme) == ("api.test", 8080, "http")


def test_without_a_secret_the_agents_header_passes() -> None:
    asked = request(host="agent.test", authorization="mine")
    readdress(asked, upstream(), "", "")
    assert asked.headers["Authorization"] == "mine"
    assert "X-Forwarded-Host" not in asked.headers


def test_http2_has_an_authority_and_no_host() -> None:
    asked = request(host="agent.test")
    asked.http_version = "HTTP/2.0"
    readdress(asked, upstream(tls="verify"), "", "")
    assert (asked.authority, asked.scheme, "host" in asked.headers) == ("api.test:8080", "https", False)


def test_only_a_websocket_upgrades() -> None:
    other, socket = request(upgrade="h2c"), request(upgrade="WebSocket")
    for asked in (other, socket):
        readdress(asked, upstream(), "", "")
    assert ("upgrade" in other.headers, "upgrade" in socket.headers) == (False, True)
    assert is_websocket(socket) and not is_websocket(other)


def test_the_size_of_a_body() -> None:
    assert body_size(request("POST", content_length="5"), is_over=False) == 5
    assert body_size(request("POST", content_length="5", transfer_encoding="chunked"), is_over=False) is None
    assert body_size(request("POST"), is_over=False) is None
    assert body_size(request("POST"), is_over=True) == 0
