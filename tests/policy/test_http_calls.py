from typing import Any

import pytest

from policy.classify import classify
from policy.documents import read_document
from policy.http_calls import classify_model_call, classify_tool_call, is_tool_call
from policy.model import Call, Operation

POST = classify("http", "POST https://mcp.example/mcp")
CHAT = classify("http", "POST https://ai.example/v1/chat/completions")


def tool(name: str, **arguments: object) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (b'{"model": "small", "messages": []}', "small"),
        (b'{"messages": [{"model": "other"}], "\\u006dodel": "small"}', "small"),
        (b'{"model": "small", "model": "big"}', ""),
        (b'{"model": 7}', ""),
        (b'{"model": "a\\nb"}', ""),
        (b'["model", "small"]', ""),
        (b'{"model": "small"', ""),
        (b"", ""),
        (b"[" * 100_000, ""),
        (b"\xff\xfe", ""),
    ],
    ids=range(10),
)
def test_the_model_is_what_every_reader_would_read(body: bytes, model: str) -> None:
    found = classify_model_call(CHAT, read_document(body))
    assert (found.call, found.called, found.operation) == (Call.MODEL, model, Operation.WRITE)


def test_a_model_that_the_path_names_counts() -> None:
    gemini = classify("http", "POST https://ai.example/v1beta/models/gemini:generateContent")
    assert (gemini.call, gemini.called) == (Call.MODEL, "gemini")
    assert classify_model_call(gemini, {"model": "other"}).called == "gemini"
    assert classify("http", "GET https://ai.example/v1/messages").call is Call.NOTHING


def test_equal_calls_are_one_object_and_others_are_not_of_one_shape() -> None:
    small = classify_model_call(CHAT, {"model": "small"})
    assert classify_model_call(CHAT, {"model": "small", "x": 1}) is small
    assert classify_model_call(CHAT, {"model": "big"}).fingerprint != small.fingerprint
    found = classify_tool_call(POST, tool("search", q="a"), is_mcp=True)
    assert classify_tool_call(POST, tool("search", q="b"), is_mcp=True) is found
    assert classify_tool_call(POST, tool("find", q="b"), is_mcp=True).fingerprint != found.fingerprint


def test_a_message_to_an_mcp_server_is_judged_by_itself() -> None:
    listed = classify_tool_call(POST, LIST, is_mcp=True)
    assert (listed.call, listed.operation) == (Call.NOTHING, Operation.READ)
    searched = classify_tool_call(POST, tool("search_orders"), is_mcp=True)
    assert (searched.call, searched.called, searched.operation) == (Call.TOOL, "search_orders", Operation.READ)
    assert "search_orders" in [each.name for each in searched.objects]
    dropped = classify_tool_call(POST, tool("execute_sql", sql="DROP TABLE t"), is_mcp=True)
    assert (dropped.operation, dropped.called) == (Operation.DDL, "execute_sql")
    many = classify_tool_call(POST, [tool("a"), tool("b")], is_mcp=True)
    assert (many.call, many.called, many.is_multi) == (Call.TOOL, "", True)


@pytest.mark.parametrize(
    "document", [None, {}, [], 7, ["jsonrpc"], {"jsonrpc": "1.0", "method": "tools/list"}], ids=str
)
def test_what_is_no_message_may_do_anything(document: Any) -> None:
    found = classify_tool_call(POST, document, is_mcp=True)
    assert found.is_unknown and found.call is Call.TOOL


def test_elsewhere_a_message_makes_a_request_worse_and_never_milder() -> None:
    assert classify_tool_call(POST, tool("search"), is_mcp=False).operation is Operation.WRITE
    assert classify_tool_call(POST, tool("delete_order"), is_mcp=False).operation is Operation.DELETE
    assert classify_tool_call(POST, read_document(b"no message"), is_mcp=False) is POST
    assert is_tool_call(tool("x")) and is_tool_call([tool("x")])
    assert not is_tool_call(LIST) and not is_tool_call(None)
