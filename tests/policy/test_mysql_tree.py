import subprocess
import sys

import pytest
import sqlglot

from policy.model import Operation
from policy.mysql_tree import parse_tree, read_tables


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


@pytest.mark.parametrize("text", ["SELECT (", "SELECT 1; SELECT 2", "CALL p(1)", "", "(" * 5000])
def test_what_is_no_single_statement_has_no_tree(text: str) -> None:
    assert parse_tree(text) is None


def test_one_statement_has_a_tree() -> None:
    tree = parse_tree("DELETE FROM t")
    assert tree is not None
    assert read_tables(tree, Operation.DELETE).lacks_where


def test_who_classifies_no_mysql_does_not_load_sqlglot() -> None:
    code = (
        "import sys\nfrom policy.classify import classify\nclassify('postgres', 'SELECT 1')\n"
        "assert 'sqlglot' not in sys.modules\nclassify('mysql', 'SELECT 1')\nassert 'sqlglot' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
