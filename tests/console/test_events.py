import json

import pytest

from console.events import Row, as_document, result_rows, row_from
from console.output import iso_time
from tests.console.conftest import ROWS, START, event


def completed(payload: str, payload_type: str = "rows") -> Row:
    return row_from(event(3, "action.completed", 2, payload=payload, payload_type=payload_type))


def test_a_row_of_the_store() -> None:
    row = row_from(
        event(2, "action.requested", 1, action_id="s1.7", parameters=["a", None], masked=[("card", 2, "t", "p")])
    )
    assert (row.session_id, row.seq, row.at, row.action_number) == ("s1", 2, START.replace(microsecond=2000), "7")
    assert row.parameters == ("a", None)
    assert row.masked == (("card", 2, "t", "p"),)
    assert row_from(event(2, "x", 1, masked=[{"label": "a", "count": 1, "token": "t"}])).masked == (("a", 1, "t", ""),)


def test_as_json() -> None:
    document = as_document(row_from(event(2, "x", 1, masked=[("card", 2, "t", "p")])))
    assert document["at"] == iso_time(START.replace(microsecond=2000)) and document["at"].endswith("Z")
    assert json.loads(json.dumps(document))["masked"] == [{"label": "card", "count": 2, "token": "t", "place": "p"}]


def test_recorded_rows() -> None:
    found = result_rows(completed(ROWS))
    assert found is not None
    assert found.columns == ["id", "card"]
    assert found.rows == [["1", "‹payment_card:abc›"], ["2", None]]


@pytest.mark.parametrize(
    "payload", ["", "{", "[]", "[" * 5000, '{"columns": 1, "rows": 2}', '{"rows": []}', '{"columns":["a"],"rows":{}}']
)
def test_a_broken_payload_is_no_table(payload: str) -> None:
    assert result_rows(completed(payload)) is None


def test_uneven_rows_are_made_even() -> None:
    found = result_rows(completed('{"columns":["a","b"],"rows":[[1],[1,2,3],"x"]}'))
    assert found is not None
    assert found.rows == [[1, None], [1, 2]]


def test_other_payloads_are_no_table() -> None:
    assert result_rows(completed(ROWS, "application/json")) is None
