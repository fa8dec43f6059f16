"""HTTP requests that call a model or a tool, by what their JSON says. Pure."""

import json
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from typing import Any

from policy.classify import classify
from policy.model import Call, Classified, ObjectAccess, worse
from policy.model_paths import read_name


class _AmbiguousError(ValueError):
    """A name stands twice in an object: readers differ on which counts."""


def model_of_body(body: bytes) -> str:
    """The model that a whole JSON body names; "" where it does not, or more than once."""
    document = _read(body)
    return read_name(document.get("model")) if isinstance(document, dict) else ""


def is_mcp_message(body: bytes) -> bool:
    """Whether a whole body is a JSON-RPC message, or a batch, in which a tool is called."""
    document = _read(body)
    messages = document if isinstance(document, list) else [document]
    return any(isinstance(each, dict) and "jsonrpc" in each and each.get("method") == "tools/call" for each in messages)


def classify_model_call(request: Classified, body: bytes | None) -> Classified:
    """A request that calls a model, with the model's name. `body` None: not all of it is known, so no name in it
    counts."""
    if request.called or body is None:
        return request
    return _with_call(request, Call.MODEL, model_of_body(body))


def classify_tool_call(request: Classified, body: bytes | None, *, is_mcp: bool) -> Classified:
    """A request whose body is an MCP message. `is_mcp`: the resource is said to speak it, so the message alone says
    what it does; else the worse of request and message. `body` None: not all of it is known, it may do anything."""
    text = body.decode("utf-8", "surrogateescape") if body is not None else ""
    message = classify("mcp", text)
    tools = _tools_of(body) if body is not None else ()
    if message.is_unknown and not is_mcp:
        return request
    is_call = bool(tools) or message.is_unknown
    joined = _join(request, message, is_mcp=is_mcp)
    return _with_call(joined, Call.TOOL, tools[0] if len(tools) == 1 else "") if is_call else joined


def _tools_of(body: bytes) -> tuple[str, ...]:
    document = _read(body)
    found = []
    for each in document if isinstance(document, list) else [document]:
        params = each.get("params") if isinstance(each, dict) and each.get("method") == "tools/call" else None
        if isinstance(params, dict):
            found.append(read_name(params.get("name")))
    return tuple(found)


@lru_cache(4096)
def _join(request: Classified, message: Classified, *, is_mcp: bool) -> Classified:
    operation = message.operation if is_mcp else worse(request.operation, message.operation)
    # The address is named, too; what is done there is what the message does.
    place = tuple(ObjectAccess(each.name, message.operation if is_mcp else each.access) for each in request.objects)
    return replace(
        message,
        operation=operation,
        objects=(*message.objects, *place),
        fingerprint=_digest(request.fingerprint, message.fingerprint) if message.fingerprint else "",
        is_unknown=message.is_unknown or request.is_unknown,
    )


@lru_cache(4096)
def _with_call(request: Classified, call: Call, name: str) -> Classified:
    """One object for equal calls, so that rulings on them are remembered."""
    fingerprint = _digest(request.fingerprint, call.value, name) if request.fingerprint else ""
    return replace(request, fingerprint=fingerprint, call=call, called=name)


def _digest(*parts: str) -> str:
    return sha256("\n".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def _read(body: bytes) -> Any:
    """A JSON document; None for what is none, or ambiguous."""
    try:
        return json.loads(body, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _AmbiguousError
    return found
