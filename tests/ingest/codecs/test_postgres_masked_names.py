"""Aliases mean what they stand for."""

import pytest

from ingest.codecs.postgres_masked_names import MAX_KEPT_NAMES, SessionNames
from tests.ingest.codecs.masked import order

STATEMENTS = {
    ("SELECT ssn AS x FROM t", "x"): "ssn",
    ("SELECT upper(t.ssn) FROM t", "upper"): "ssn",
    ("SELECT y FROM (SELECT ssn AS y FROM t) s", "y"): "ssn",
    ("SELECT c::text FROM customers c", "c"): "c",
    ("SELECT a FROM customers AS c(a)", "a"): "a",
}


@pytest.mark.parametrize(("statement", "column"), STATEMENTS)
def test_a_named_column_is_masked_whole_under_any_name(statement: str, column: str) -> None:
    found = SessionNames().find(order(columns=("ssn",)), statement, column)
    assert found.is_column and found.text == STATEMENTS[statement, column]
    assert not SessionNames().find(order(columns=("other",)), "SELECT ssn AS x FROM t", "x").is_column


def test_a_telling_name_tells_under_an_alias_but_not_of_what_is_made_of_its_values() -> None:
    values = order()
    names = SessionNames()
    alias = names.find(values, "SELECT password AS x FROM t", "x")
    assert alias.named is not None and alias.named.label == "password"
    assert names.find(values, "SELECT length(password) AS x FROM t", "x").named is None
    assert names.find(values, "SELECT c FROM customers c", "c").is_column is False  # no columns are named


def test_aliases_of_cursors_and_prepared_statements_are_remembered_within_bounds() -> None:
    values, names = order(columns=("ssn",)), SessionNames()
    names.learn("DECLARE c CURSOR FOR SELECT ssn AS x FROM t")
    assert names.find(values, "FETCH ALL FROM c", "x").is_column
    names.learn("SELECT ssn AS y FROM t")
    assert not names.find(values, "FETCH ALL FROM c", "y").is_column
    for number in range(MAX_KEPT_NAMES // 100 + 1):
        names.learn("PREPARE p AS SELECT " + ", ".join(f"a AS x{number}_{n}" for n in range(100)))
    assert not names.find(values, "EXECUTE p", "x").is_column
    assert len(names._kept) == MAX_KEPT_NAMES
