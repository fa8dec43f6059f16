import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.model import Operation
from policy.mongodb import UNKNOWN, classify_mongodb
from tests.policy.tables import load_table

TABLE: list[tuple[str, str]] = list(load_table("mongodb"))


def test_there_are_enough_cases() -> None:
    assert len({statement for _, statement in TABLE}) == len(TABLE) >= 100


@pytest.mark.parametrize(("expected", "statement"), TABLE, ids=[statement for _, statement in TABLE])
def test_operation(expected: str, statement: str) -> None:
    classified = classify_mongodb(statement)
    assert ("unknown" if classified.is_unknown else classified.operation) == expected
    assert classified.operation is Operation.ADMIN or not classified.is_unknown


@pytest.mark.parametrize(
    ("document", "objects"),
    [
        ({"find": "a"}, {"read a"}),
        (
            {
                "aggregate": "a",
                "pipeline": [
                    {"$lookup": {"from": "b", "pipeline": [{"$unionWith": "c"}]}},
                    {"$merge": {"into": {"db": "x", "coll": "d"}}},
                ],
            },
            {"read a", "read b", "read c", "write d"},
        ),
        ({"aggregate": "a", "pipeline": [{"$out": "a"}]}, {"delete a"}),
        ({"aggregate": 1, "pipeline": []}, set()),
        ({"mapReduce": "a", "out": {"replace": "b"}}, {"read a", "write b"}),
        ({"renameCollection": "x.a", "to": "x.b"}, {"ddl x.a", "ddl x.b"}),
        (
            {
                "bulkWrite": 1,
                "ops": [{"insert": 0, "document": {}}, {"delete": 1, "filter": {}}],
                "nsInfo": [{"ns": "x.a"}, {"ns": "x.b"}],
            },
            {"write x.a", "delete x.b"},
        ),
        ({"explain": {"delete": "a", "deletes": []}, "verbosity": "queryPlanner"}, {"read a"}),
        ({"dropDatabase": 1, "$db": "shop"}, {"ddl shop"}),
    ],
)
def test_objects(document: dict[str, object], objects: set[str]) -> None:
    assert {str(each) for each in classify_mongodb(json.dumps(document)).objects} == objects


@pytest.mark.parametrize(
    ("document", "has_where", "lacks_where"),
    [
        ({"find": "a", "filter": {"b": 1}}, True, False),
        ({"find": "a"}, False, False),
        ({"delete": "a", "deletes": [{"q": {}, "limit": 0}]}, False, True),
        ({"delete": "a", "deletes": [{"q": {"b": 1}}]}, True, False),
        ({"update": "a", "updates": [{"q": {"b": 1}}, {"q": {}}]}, False, True),
        ({"findAndModify": "a", "remove": True}, False, True),
        ({"aggregate": "a", "pipeline": [{"$match": {"b": 1}}]}, True, False),
    ],
)
def test_where(document: dict[str, object], has_where: bool, lacks_where: bool) -> None:
    classified = classify_mongodb(json.dumps(document))
    assert (classified.has_where, classified.lacks_where) == (has_where, lacks_where)


def test_values_share_a_shape() -> None:
    shapes = [
        classify_mongodb(json.dumps({"find": name, "filter": {"a": value}})).fingerprint
        for name, value in (("x", 1), ("x", "y"), ("z", 1))
    ]
    assert shapes[0] == shapes[1] != shapes[2]


@pytest.mark.parametrize("depth", [100, 900, 50_000])
def test_deep_nesting_ends_in_an_answer(depth: int) -> None:
    deep = '{"find": "a", "filter": ' + '{"a": ' * depth + "1" + "}" * (depth + 1)
    assert classify_mongodb(deep).operation in (Operation.READ, Operation.ADMIN)
    stages = '{"$facet": {"a": [' * depth + '{"$out": "x"}' + "]}}" * depth
    assert classify_mongodb('{"aggregate": "a", "pipeline": [' + stages + "]}").operation in (
        Operation.DELETE,
        Operation.ADMIN,
    )


def test_too_much_to_look_at_is_unknown() -> None:
    assert classify_mongodb('{"find": "a", "filter": {"a": [' + "1," * 300_000 + "1]}}") == UNKNOWN


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["find", "aggregate", "pipeline", "$out", "$match", "delete", "deletes", "q", "$db"]),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_any_document_is_classified(document: object) -> None:
    classified = classify_mongodb(json.dumps(document))
    assert classified.is_unknown or classified.operation in Operation
