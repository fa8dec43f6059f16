import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.classify import MAX_CACHED_CHARS, classify, classify_shape, shape_of
from policy.model import Operation
from policy.postgres import classify_postgres


def test_literals_share_a_shape_and_give_what_parsing_gives():
    for number in (1, 22, 333):
        statement = f"SELECT * FROM t1 WHERE id = {number} AND d = '2024-01-0{number % 9}' LIMIT {number}"
        assert classify("postgres", statement) == classify_postgres(statement)


@pytest.mark.parametrize(
    ("innocent", "other"),
    [
        ('SELECT * FROM "tbl 1"', 'SELECT * FROM "tbl 2"'),
        ("SELECT * FROM tbl1", "SELECT * FROM tbl2"),
        ("SELECT * FROM tbl×1", "SELECT * FROM tbl×2"),
        ('SELECT * FROM U&"\\0061\\0062"', 'SELECT * FROM U&"\\0061\\0063"'),
        ("SELECT * FROM tbl$1", "SELECT * FROM tbl$2"),
    ],
)
def test_digits_in_names_are_no_literals(innocent, other):
    assert classify("postgres", innocent).objects != classify("postgres", other).objects
    assert classify("postgres", other) == classify_postgres(other)


@pytest.mark.parametrize(
    "statement",
    [
        "SET standard_conforming_strings = 1",
        "SET standard_conforming_strings = 0",
        "EXPLAIN (ANALYZE 1) DELETE FROM t",
        "EXPLAIN (ANALYZE 0) DELETE FROM t",
        "SELECT E'\\1'",
        "SELECT $1, 1.5, 1e5, 0x1F, 1_000",
        "SELECT '1' || $$ 2 $$ -- 3",
        "SELECT 1--2\n",
    ],
)
def test_a_cached_shape_is_never_milder_than_the_statement(statement):
    shape, truth = classify("postgres", statement), classify_postgres(statement)
    assert shape.operation.rank >= truth.operation.rank


SPELLED_OUT = re.compile(r"(?<![\w$.\\\x80-\U0010ffff])[0-9]+(?![\w$.\x80-\U0010ffff])")


@given(st.text(st.sampled_from("0123456789aE_.$\\\u00d7 ='(-,\n"), max_size=40))
def test_a_shape_has_other_numbers_where_they_are_whole_tokens(text):
    assert shape_of("postgres", text) == SPELLED_OUT.sub("0", text)
    assert shape_of("postgres", shape_of("postgres", text)) == shape_of("postgres", text)


def test_only_where_numbers_mean_nothing_is_there_a_shape():
    for dialect, text in (("http", "GET /17"), ("postgres", 'SELECT "a 1"'), ("postgres", "SELECT 1 & 2")):
        assert shape_of(dialect, text) == text
    assert shape_of("postgres", "SELECT 12") == shape_of("postgres", "SELECT 7") == "SELECT 0"
    assert classify_shape("postgres", "SELECT 0") is classify("postgres", "SELECT 12")


def test_long_statements_bypass_the_cache():
    statement = "SELECT '" + "x" * MAX_CACHED_CHARS + "'"
    assert classify("postgres", statement).operation is Operation.READ


def test_an_unknown_dialect_is_unknown():
    assert classify("klingon", "SELECT 1").is_unknown


def test_http():
    assert classify("http", "GET /users/17").is_read
    assert classify("http", "POST /users").operation is Operation.WRITE
