"""Calls of models and tools over HTTP, through the proxy: decided on by what the body says."""

import gzip
import json
from collections.abc import Iterator

import httpx
import pytest
from mitmproxy.http import Request

from ingest.http.calls import CALL_BYTES, Content, is_told_by_body
from schemas.resources import Resource
from tests.ingest.http.conftest import Captured, Front
from tests.support.scripted_upstream import Scripted

RULED = {"policy": "calls"}
CHAT, MCP = "/v1/chat/completions", "/mcp"
UPSTREAM = {"host": "127.0.0.1", "port": 1}
PARENT = "00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01"


def tool(name: str, **meta: object) -> dict[str, object]:
    params = {"name": name, "arguments": {}, "_meta": meta}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def chat(model: str, size: int = 0) -> bytes:
    """The model's name stands at the end."""
    return json.dumps({"messages": [{"role": "user", "content": "x" * size}], "model": model}).encode()


def in_pieces(body: bytes) -> Iterator[bytes]:
    """Without a length: chunked."""
    for start in range(0, len(body), 50_000):
        yield body[start : start + 50_000]


def client(front: Front, captured: Captured) -> httpx.Client:
    return httpx.Client(base_url=front.url, headers=captured.bearer, timeout=60)


def test_a_model_is_called_by_its_name(captured: Captured, scripted: Scripted) -> None:
    scripted.answer(CHAT, b"{}")
    front = captured.front(scripted.port, labels=RULED)
    packed = gzip.compress(chat("small"), mtime=0)
    with client(front, captured) as http:
        assert http.post(CHAT, content=chat("small")).status_code == 200
        assert http.post(CHAT, content=packed, headers={"Content-Encoding": "gzip"}).status_code == 200
        big = http.post(CHAT, content=chat("big"))
        assert big.status_code == 403 and "only the small model" in big.text
        # Longer than what is held otherwise, of known length and of unknown.
        assert http.post(CHAT, content=chat("small", 500_000)).status_code == 200
        assert http.post(CHAT, content=in_pieces(chat("small", 500_000))).status_code == 200
        assert http.post(CHAT, content=in_pieces(chat("big", 500_000))).status_code == 403
        # Of what is too long to be held no name counts.
        assert http.post(CHAT, content=chat("small", CALL_BYTES)).status_code == 403
    with client(front, captured) as http:
        assert http.post(CHAT, content=in_pieces(chat("small", CALL_BYTES))).status_code == 403
    assert [seen[":body"] for seen in scripted.seen[2:]] == [chat("small", 500_000).decode()] * 2
    assert "transfer-encoding" in scripted.seen[3]
    asked = [event for trail in front.trails(2) for event in trail.of("action.requested")]
    assert sorted(event.verdict for event in asked) == ["allow"] * 4 + ["deny"] * 4
    assert all(event.payload_bytes in (0, 500_057) or len(event.payload) for event in asked)


def test_a_call_of_unknown_length_that_is_too_long_streams(captured: Captured, scripted: Scripted) -> None:
    scripted.answer(CHAT, b"{}")
    front = captured.front(scripted.port)
    body = chat("small", CALL_BYTES + 300_000)
    with client(front, captured) as http:
        assert http.post(CHAT, content=in_pieces(body)).status_code == 200
    assert scripted.seen[0][":body"] == body.decode()
    trail = front.trail()
    assert trail.of("action.requested")[0].attributes["http.body"] == "streamed"
    assert [e.payload_bytes for e in trail.of("data.sent") if e.attributes.get("stream.end")] == [len(body)]


def test_a_tool_is_called_by_its_name_and_claims_are_claims(captured: Captured, scripted: Scripted) -> None:
    scripted.answer(MCP, b"{}")
    front = captured.front(scripted.port, labels=RULED, speaks="mcp")
    claims = {"traceparent": PARENT, "custody/plan_step": "2", "principal": "root"}
    with client(front, captured) as http:
        assert http.post(MCP, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).status_code == 200
        assert http.post(MCP, json=tool("search", **claims)).status_code == 200
        assert http.post(MCP, json=tool("search")).json()["error"]["data"] == {"code": "denied"}
        refused = http.post(MCP, json=tool("delete_all", **claims))
        assert refused.status_code == 200 and refused.json() == {
            "jsonrpc": "2.0", "id": 1,
            "error": {"code": -32000, "message": "Custody: only the search, at step 2", "data": {"code": "denied"}},
        }  # fmt: skip
        told = {key: value for key, value in tool("delete_all").items() if key != "id"}
        assert http.post(MCP, json=told).status_code == 403  # nobody waits for an answer to it
        assert http.post(MCP, json=[tool("search", **claims), tool("delete_all", **claims)]).status_code == 403
        assert http.post(MCP, content=b"no message").status_code == 403
        assert http.get(MCP).status_code == 200
    trail = front.trail()
    listed, searched, *_, nothing, _ = trail.of("action.requested")
    assert [event.status for event in trail.of("action.completed")].count("403") == 5
    assert (listed.operation, searched.operation, nothing.operation) == ("read", "read", "unknown")
    assert searched.links == {"traceparent": PARENT, "plan_step": "2"}
    assert searched.objects[0] == "read search"
    assert trail.context.principal != "root"


def test_a_message_elsewhere_is_known_by_its_shape(captured: Captured, scripted: Scripted) -> None:
    scripted.answer("/rpc", b"{}")
    front = captured.front(scripted.port, labels=RULED)
    with client(front, captured) as http:
        assert http.post("/rpc", json=tool("delete_all")).status_code == 403
        assert http.post("/rpc", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).status_code == 200
        assert http.post("/rpc", json={"method": "tools/call"}).status_code == 200
        hidden = json.dumps(tool("delete_all")).encode().replace(b"jsonrpc", b"\\u006asonrpc")
        assert http.post("/rpc", content=hidden).status_code == 403
        packed = gzip.compress(json.dumps(tool("delete_all")).encode(), mtime=0)
        assert http.post("/rpc", content=packed, headers={"Content-Encoding": "gzip"}).status_code == 403


@pytest.mark.parametrize("encoding", ["gzip", "br", "rot13", "gzip, gzip"])
def test_what_cannot_be_read_names_nothing(encoding: str) -> None:
    plain = Resource(name="ai", protocol="http", listen=0, upstream=UPSTREAM)  # type: ignore[arg-type]
    server = plain.model_copy(update={"speaks": "mcp"})
    request = Request.make("POST", "http://ai" + CHAT)
    request.headers["Content-Encoding"] = encoding
    bomb = gzip.compress(b" " * (CALL_BYTES * 20), mtime=0)
    found = Content(request, plain, bomb).classify("POST http://ai" + CHAT)
    assert (found.call.value, found.called) == ("model", "")
    to_server = Content(request, server, bomb)
    assert to_server.classify("POST http://ai" + MCP).is_unknown
    assert to_server.claims == {} and to_server.call_id is None
    assert is_told_by_body(request, plain) and is_told_by_body(request, server)
    assert not is_told_by_body(Request.make("GET", "http://ai" + CHAT), plain)
