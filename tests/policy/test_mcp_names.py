import pytest

from policy.mcp_names import judge_name, split_name


def test_names_are_split_however_they_are_joined() -> None:
    for name in ("get_user_roles", "getUserRoles", "get-user.roles", "GetUserRoles", "get/user/roles"):
        assert split_name(name) == ["get", "user", "roles"]
    assert split_name("executeSQLQuery") == ["execute", "sql", "query"]


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("get_user", "read"),
        ("create_user", "grant"),
        ("list_permissions", "read"),
        ("permissions", "grant"),
        ("delete_thing", "delete"),
        ("get_or_delete", "delete"),
        ("list_commands", "read"),
        ("run_command", "execute"),
        ("frobnicate", None),
        ("", None),
    ],
)
def test_name(name: str, operation: str | None) -> None:
    assert judge_name(split_name(name)) == operation
