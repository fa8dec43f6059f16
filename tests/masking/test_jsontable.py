import json

import pytest

from masking.jsontable import find_json_tables

ROWS = [[1, "hunter2", None], [2, 's3"cr3t', [1, {"a": "b"}]], [3, 12345678, "x"]]


def found(text: str) -> list[str]:
    return [text.encode()[start:end].decode() for start, end, _ in find_json_tables(text.encode())]


@pytest.mark.parametrize(
    "document",
    [
        {"columns": ["id", "password", "note"], "rows": ROWS},
        {"rows": ROWS, "columns": ["id", "password", "note"]},
        {"fields": [{"name": "id", "type": "int"}, {"name": "password"}, {"name": "note"}], "data": ROWS},
        {"result": {"columns": ["id", "password", "note"], "values": ROWS}},
        [["id", "password", "note"], *ROWS],
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_cells_under_a_telling_column(document: object, indent: int | None) -> None:
    assert found(json.dumps(document, indent=indent)) == ["hunter2", 's3\\"cr3t', "12345678"]


@pytest.mark.parametrize(
    "text",
    ["", "[", '{"columns":["password"', '{"columns":["password"],"rows":[["x', '{"columns":["id"],"rows":[["x"]]}'],
)
def test_torn_and_harmless(text: str) -> None:
    assert found(text) in ([], ["x"])


def test_deep_nesting_is_bounded() -> None:
    assert found('{"columns":["password"],"rows":[' + "[" * 100_000) == []
