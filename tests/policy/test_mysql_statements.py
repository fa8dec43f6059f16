import pytest

from policy.mysql_lexer import Reading, tokenize
from policy.mysql_statements import QUERIES, statement_operation


@pytest.mark.parametrize(
    ("text", "operation"),
    [
        ("SELECT 1", "read"),
        ("WITH x AS (DELETE) UPDATE t", "write"),
        ("CREATE USER x", "grant"),
        ("CREATE OR REPLACE ALGORITHM = MERGE SQL SECURITY INVOKER VIEW v", "ddl"),
        ("CREATE DEFINER = CURRENT_USER PROCEDURE p()", "grant"),
        ("DROP PREPARE s", "read"),
        ("SET a = 1, GLOBAL b = 2", "admin"),
        ("SET SESSION autocommit = 1", "read"),
        ("SET @a = 'GLOBAL'", "read"),
        ("START GROUP_REPLICATION", "admin"),
        ("EXPLAIN ANALYZE DELETE FROM t", "delete"),
        ("NOSUCH THING", None),
        ("WITH x AS (SELECT 1)", None),
    ],
)
def test_operation(text: str, operation: str | None) -> None:
    assert statement_operation(list(tokenize(text, Reading()))) == operation


def test_nothing_is_no_statement() -> None:
    assert statement_operation([]) is None
    assert "CALL" not in QUERIES
