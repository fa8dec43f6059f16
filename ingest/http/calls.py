"""Requests whose body says what they do: calls of models, and messages to MCP servers. Pure."""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from mitmproxy import http

from ingest.claims import read_meta_claims
from ingest.http import heads
from policy.classify import Classified, classify
from policy.documents import read_document
from policy.http_calls import classify_model_call, classify_tool_call, is_tool_call
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
_MAY_BE_RPC: Final = re.compile(rb"jsonrpc|\\u00[67]")
"""The name that each message has, or letters that are written as escapes: only then is a body read."""


def is_told_by_body(request: http.Request, resource: Resource) -> bool:
    """Whether policy wants to see the body before it decides."""
    if request.method in _WITHOUT_CONTENT:
        return False
    return resource.speaks == MCP or is_model_path(request.path)


class Content:
    """What a request says in its body, unpacked and read once, and only where it may be a call."""

    def __init__(self, request: http.Request, resource: Resource, body: bytes | None) -> None:
        """`body`: as it crossed; None: not all of it is known."""
        self._request = request
        self._is_mcp = resource.speaks == MCP
        self._body = None if request.method in _WITHOUT_CONTENT else body

    def classify(self, statement: str) -> Classified:
        """What the request does. `statement`: `METHOD url`."""
        found = classify("http", statement)
        if self._request.method in _WITHOUT_CONTENT:
            return found
        if self._is_mcp:
            # A header that makes some frameworks take another method says more than the message.
            is_said = "x-http-method-override" not in self._request.headers
            return classify_tool_call(found, self._document, is_mcp=is_said)
        if found.call is Call.MODEL:
            return classify_model_call(found, self._document)
        return classify_tool_call(found, self._message, is_mcp=False) if is_tool_call(self._message) else found

    @property
    def claims(self) -> Mapping[str, str]:
        """What an MCP message claims of run and step (`params._meta`)."""
        return read_meta_claims(self._message)

    @property
    def call_id(self) -> str | int | None:
        """The id of the one JSON-RPC request to an MCP server; None where there is none to answer."""
        document = self._document if self._is_mcp else None
        found = document.get("id") if isinstance(document, dict) and "method" in document else None
        is_id = isinstance(found, int) or (isinstance(found, str) and len(found) <= MAX_ID_CHARS)
        return found if is_id and not isinstance(found, bool) else None

    @property
    def _message(self) -> Any:
        """The document, if it may be a JSON-RPC message."""
        return self._document if self._is_mcp or _MAY_BE_RPC.search(self._plain) else None

    @cached_property
    def _document(self) -> Any:
        return read_document(self._plain)

    @cached_property
    def _plain(self) -> bytes:
        """The body without its coding; empty when not all of it is known, or when it is too long."""
        body = self._body or b""
        encoding = self._request.headers.get("content-encoding", "").encode("utf-8", "surrogateescape")
        if not body or encoding.lower() in (b"", b"identity"):
            return body
        content = heads.decode_content(body, encoding, CALL_BYTES + 1)
        return content if content is not None and len(content) <= CALL_BYTES else b""


def rpc_error(id: str | int, code: str, message: str, facts: Mapping[str, str]) -> dict[str, object]:
    """A refusal as MCP clients understand it; one by HTTP's status ends their whole session."""
    data = {"code": code, **facts}
    return {"jsonrpc": "2.0", "id": id, "error": {"code": REFUSED, "message": f"Custody: {message}", "data": data}}
