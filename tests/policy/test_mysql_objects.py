import sqlglot

from policy.model import Operation
from policy.mysql_lexer import Reading, tokenize
from policy.mysql_objects import read_names, read_tables


def test_tables_of_a_tree() -> None:
    tree = sqlglot.parse_one("UPDATE a JOIN b ON a.x = b.x SET a.y = 1 WHERE b.z > 2", dialect="mysql")
    found = read_tables(tree, Operation.WRITE)
    assert found.accesses == {"a": Operation.WRITE, "b": Operation.WRITE}
    assert (set(found.columns), found.has_where, found.lacks_where) == ({"x", "y", "z"}, True, False)


def test_a_common_table_expression_hides_a_table_only_where_it_is_seen() -> None:
    text = "SELECT * FROM (WITH x AS (SELECT * FROM x) SELECT * FROM x) AS y JOIN x ON 1"
    assert read_tables(sqlglot.parse_one(text, dialect="mysql"), Operation.READ).accesses == {"x": Operation.READ}
    text = "WITH RECURSIVE x AS (SELECT * FROM x) SELECT * FROM x"
    assert read_tables(sqlglot.parse_one(text, dialect="mysql"), Operation.READ).accesses == {}


def test_names_by_the_words_before_them() -> None:
    tokens = list(tokenize("RENAME TABLE a TO `b c`, d.e TO f", Reading()))
    assert {name for name, _ in read_names(tokens, Operation.DDL)} == {"a", "b c", "d.e", "f"}
