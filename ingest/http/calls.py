"""Requests whose body says what they do: calls of models, and messages to MCP servers. Pure."""

import json
from collections.abc import Mapping
from typing import Final

from mitmproxy import http

from ingest.claims import read_meta_claims
from ingest.http import heads
from policy.classify import Classified, classify
from policy.http_calls import classify_model_call, classify_tool_call, is_mcp_message
from policy.model import Call
from policy.model_paths import is_model_path
from schemas.resources import Resource

CALL_BYTES: Final = 1 << 20
"""Such bodies are held whole up to this, also those of unknown length; of longer ones nothing counts that they say."""
MCP: Final = "mcp"
MAX_ID_CHARS: Final = 200
REFUSED: Final = -32000
"""JSON-RPC's first code for errors of a server's own."""
_WITHOUT_CONTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE", "CONNECT"})


def is_told_by_body(request: http.Request, resource: Resource) -> bool:
    """Whether policy wants to see the body before it decides."""
    if request.method in _WITHOUT_CONTENT:
        return False
    return resource.speaks == MCP or is_model_path(request.path)


def classify_request(statement: str, request: http.Request, resource: Resource, body: bytes | None) -> Classified:
    """What a request does. `statement`: `METHOD url`; `body`: its content as it crossed, None for not all of it."""
    found = classify("http", statement)
    if request.method in _WITHOUT_CONTENT:
        return found
    is_mcp = resource.speaks == MCP
    if not (is_mcp or found.call is Call.MODEL or (body and b"jsonrpc" in body)):
        return found
    content = plain_body(request, body)
    if is_mcp:
        # A header that makes some frameworks take another method says more than the message.
        return classify_tool_call(found, content, is_mcp="x-http-method-override" not in request.headers)
    if found.call is Call.MODEL:
        return classify_model_call(found, content)
    return classify_tool_call(found, content, is_mcp=False) if content and is_mcp_message(content) else found


def plain_body(request: http.Request, body: bytes | None) -> bytes | None:
    """A whole body without its coding; None when that is not known, or too long."""
    encoding = request.headers.get("content-encoding", "").encode("utf-8", "surrogateescape")
    if body is None or not encoding or encoding.lower() == b"identity":
        return body
    content = heads.decode_content(body, encoding, CALL_BYTES + 1)
    return content if content is not None and len(content) <= CALL_BYTES else None


def claims_of(request: http.Request, resource: Resource, body: bytes | None) -> Mapping[str, str]:
    """What an MCP message claims of run and step (`params._meta`)."""
    if not body or (resource.speaks != MCP and b"jsonrpc" not in body):
        return {}
    return read_meta_claims(plain_body(request, body) or b"")


def request_id(request: http.Request, resource: Resource, body: bytes) -> str | int | None:
    """The id of the one JSON-RPC request in a message to an MCP server; None where there is none to answer."""
    if resource.speaks != MCP or not body:
        return None
    try:
        document = json.loads(plain_body(request, body) or b"")
    except (ValueError, RecursionError):
        return None
    found = document.get("id") if isinstance(document, dict) and "method" in document else None
    is_id = isinstance(found, int) or (isinstance(found, str) and len(found) <= MAX_ID_CHARS)
    return found if is_id and not isinstance(found, bool) else None


def rpc_error(id: str | int, code: str, message: str, facts: Mapping[str, str]) -> dict[str, object]:
    """A refusal as MCP clients understand it; one by HTTP's status ends their whole session."""
    data = {"code": code, **facts}
    return {"jsonrpc": "2.0", "id": id, "error": {"code": REFUSED, "message": f"Custody: {message}", "data": data}}
