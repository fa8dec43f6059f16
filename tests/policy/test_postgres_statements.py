import pytest
from pglast import ast

from policy.model import Operation
from policy.postgres_statements import STATEMENTS, statement_operation


def test_every_kind_of_statement_of_the_grammar_is_in_the_table() -> None:
    inner = {"RawStmt", "PLAssignStmt", "ReturnStmt", "SetOperationStmt"}
    kinds = {name for name in dir(ast) if name.endswith("Stmt")} - inner
    # Kinds that no statement of its own has, or that are parts of others.
    assert sorted(kinds - STATEMENTS.keys()) == []


@pytest.mark.parametrize(
    ("tag", "body", "operation"),
    [
        ("CopyStmt", {"is_program": True}, "execute"),
        ("CopyStmt", {"filename": ""}, "execute"),
        ("CopyStmt", {"is_from": True}, "write"),
        ("DropStmt", {"removeType": "OBJECT_POLICY"}, "grant"),
        ("DropStmt", {"removeType": "OBJECT_TABLE"}, "ddl"),
        ("RenameStmt", {"renameType": "OBJECT_ROLE"}, "grant"),
        ("DiscardStmt", {"target": "DISCARD_PLANS"}, "read"),
        ("NeverSeenStmt", {}, "admin"),
    ],
)
def test_operation(tag: str, body: dict[str, object], operation: str) -> None:
    assert statement_operation(tag, body) is Operation(operation)
