import pytest

from policy.model import Operation
from policy.postgres_functions import function_operation, known_danger, operator_operation


@pytest.mark.parametrize(
    ("name", "schema", "operation"),
    [
        ("lower", "", "read"),
        ("lower", "pg_catalog", "read"),
        ("lower", "public", "execute"),
        ("similarity", "public", "read"),
        ("similarity", "evil", "execute"),
        ("st_area", "", "read"),
        ("st_area", "evil", "execute"),
        ("pg_read_file", "evil", "execute"),
        ("pg_reload_conf", "", "admin"),
        ("pg_reload_conf", "evil", "admin"),
        ("nextval", "", "write"),
        ("nextval", "evil", "execute"),
        ("anything", "", "execute"),
    ],
)
def test_function(name: str, schema: str, operation: str) -> None:
    assert function_operation(name, schema) == operation


def test_only_listed_names_are_dangerous_as_columns() -> None:
    assert known_danger("pg_ls_anything") is Operation.EXECUTE
    assert known_danger("dblink_exec") is Operation.EXECUTE
    assert known_danger("name") is Operation.READ


@pytest.mark.parametrize(
    ("words", "operation"),
    [
        (["+"], "read"),
        (["pg_catalog", "+"], "read"),
        (["evil", "+"], "execute"),
        (["BETWEEN"], "read"),
        (["<=>"], "read"),
        (["###"], "execute"),
        ([], "read"),
    ],
)
def test_operator(words: list[str], operation: str) -> None:
    assert operator_operation(words) == operation
