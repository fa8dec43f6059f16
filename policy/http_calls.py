"""HTTP requests that call a model or a tool, by what their JSON says. Pure."""

from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from typing import Any

from policy.documents import messages_of
from policy.mcp import judge_document
from policy.model import Call, Classified, ObjectAccess, worse
from policy.model_paths import read_name


def is_tool_call(document: Any) -> bool:
    """Whether a document is a JSON-RPC message, or a batch, in which a tool is called."""
    return any("jsonrpc" in each for each in _calls_of(document))


def classify_model_call(request: Classified, document: Any) -> Classified:
    """A request that calls a model, with the model's name. `document` None: nothing is known of the body, so no name
    in it counts."""
    name = read_name(document.get("model")) if isinstance(document, dict) else ""
    return _with_call(request, Call.MODEL, name) if name and not request.called else request


def classify_tool_call(request: Classified, document: Any, *, is_mcp: bool) -> Classified:
    """A request whose body is an MCP message. `is_mcp`: the resource is said to speak it, so the message alone says
    what it does; else the worse of request and message. `document` None: the body may do anything."""
    message = judge_document(document)
    if message.is_unknown and not is_mcp:
        return request
    tools = [
        read_name(each["params"].get("name")) for each in _calls_of(document) if isinstance(each.get("params"), dict)
    ]
    joined = _join(request, message, is_mcp=is_mcp)
    if not (tools or message.is_unknown):
        return joined
    return _with_call(joined, Call.TOOL, tools[0] if len(tools) == 1 else "")


def _calls_of(document: Any) -> list[dict[str, Any]]:
    return [each for each in messages_of(document) if isinstance(each, dict) and each.get("method") == "tools/call"]


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
