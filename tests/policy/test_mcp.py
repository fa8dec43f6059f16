import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.mcp import classify_mcp
from policy.model import Operation
from tests.policy.tables import load_table

TABLE: list[tuple[str, str]] = list(load_table("mcp"))


def call(name: str, /, **arguments: object) -> str:
    params = {"name": name, "arguments": arguments}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})


def test_there_are_enough_cases() -> None:
    assert len({statement for _, statement in TABLE}) == len(TABLE) >= 100


@pytest.mark.parametrize(("expected", "statement"), TABLE, ids=[statement for _, statement in TABLE])
def test_operation(expected: str, statement: str) -> None:
    classified = classify_mcp(statement)
    assert ("unknown" if classified.is_unknown else classified.operation) == expected
    assert classified.operation is Operation.ADMIN or not classified.is_unknown


def test_objects_are_the_tool_and_what_its_sql_touches() -> None:
    classified = classify_mcp(call("execute_sql", sql="INSERT INTO a SELECT * FROM b WHERE c"))
    assert {str(each) for each in classified.objects} == {"write execute_sql", "write a", "read b"}
    assert classified.has_where
    uri = classify_mcp('{"jsonrpc": "2.0", "method": "resources/read", "params": {"uri": "file:///x"}}')
    assert [str(each) for each in uri.objects] == ["read file:///x"]


def test_several_messages() -> None:
    ping = '{"jsonrpc": "2.0", "method": "ping"}'
    assert classify_mcp(f"[{ping}, {ping}]").is_multi
    assert not classify_mcp(f"[{ping}]").is_multi


def test_values_share_a_shape() -> None:
    one, two, other = (classify_mcp(call("get_x", **each)).fingerprint for each in ({"a": 1}, {"a": "b"}, {"b": 1}))
    assert one == two != other


def test_hostile_messages_end_in_an_answer() -> None:
    assert classify_mcp(call("x", a="[" * 10)).operation is Operation.EXECUTE
    assert classify_mcp('{"a":' * 50_000).is_unknown
    assert classify_mcp(call("get_x", a=["b"] * 20_000)).is_unknown
    assert classify_mcp(call("get_x", sql="SELECT 1" + " " * 70_000)).operation is Operation.ADMIN


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.sampled_from(["2.0", "tools/call", "ping", "get_x", "DROP TABLE x"]) | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["jsonrpc", "method", "params", "name", "arguments", "sql"]), inner)
        ),
        max_leaves=12,
    )
)
def test_any_message_is_classified(message: object) -> None:
    classified = classify_mcp(json.dumps(message))
    assert classified.operation is Operation.ADMIN or not classified.is_unknown
