import pytest

from policy.model import Operation
from policy.shell_arguments import HANDLERS
from policy.shell_commands import COMMANDS, is_code_variable, write_operation


def test_the_tables_know_the_usual_commands() -> None:
    assert {"ls", "rm", "chmod", "python", "reboot"} <= COMMANDS.keys()
    assert {"sudo", "find", "git", "curl"} <= HANDLERS.keys()


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("x", "write"),
        ("/dev/null", "read"),
        ("/dev/shm/x", "write"),
        ("/dev/sda", "admin"),
        ("/etc//passwd", "admin"),
        ("/etc/./passwd", "admin"),
        ("../../../etc/passwd", "admin"),
        ("docs/etc/x", "write"),
        ("/dev/tcp/x/1", "execute"),
        ("~/.ssh/authorized_keys", "admin"),
        (".git/hooks/pre-commit", "execute"),
        ("~/.bashrc", "execute"),
    ],
)
def test_writing_to_a_path(path: str, operation: str) -> None:
    assert write_operation(path) == operation


def test_removing_from_the_system_is_worse_than_removing() -> None:
    assert write_operation("x", Operation.DELETE) is Operation.DELETE
    assert write_operation("/etc/x", Operation.DELETE) is Operation.ADMIN


@pytest.mark.parametrize(
    ("name", "is_code"), [("LD_PRELOAD", True), ("GIT_CONFIG_COUNT", True), ("FOO", False), ("HOME", False)]
)
def test_code_variables(name: str, is_code: bool) -> None:
    assert is_code_variable(name) is is_code
