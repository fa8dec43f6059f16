import pytest

from policy.mysql_functions import function_operation


@pytest.mark.parametrize(
    ("name", "is_qualified", "operation"),
    [
        ("CONCAT", False, "read"),
        ("CONCAT", True, "execute"),
        ("ST_AREA", False, "read"),
        ("GET_LOCK", False, "write"),
        ("LOAD_FILE", False, "execute"),
        ("SLEEP", False, "execute"),
        ("SYS_EXEC", False, "execute"),
        ("KEYRING_KEY_REMOVE", False, "admin"),
        ("ANYTHING", False, "execute"),
    ],
)
def test_function(name: str, is_qualified: bool, operation: str) -> None:
    assert function_operation(name, is_qualified=is_qualified) == operation
