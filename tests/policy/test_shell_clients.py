import pytest

from policy.shell_clients import CLIENTS
from policy.shell_words import Word
from tests.policy.test_shell_wrappers import Recorder


@pytest.mark.parametrize(
    ("line", "operation"),
    [
        ("curl -sSLo f https://x", "write"),
        ("curl -d a -G https://x", "read"),
        ("curl -XDELETE https://x", "delete"),
        ("curl --request=PATCH https://x", "write"),
        ("curl -o /etc/passwd https://x", "admin"),
        ("curl ftp://x", "execute"),
        ("wget -qO- https://x", "read"),
        ("wget --method=DELETE https://x", "delete"),
        ("wget --method DELETE https://x", "delete"),
        ("http GET https://x", "read"),
        ("http https://x a=b", "write"),
        ("psql -l", "read"),
        ("psql -cDROP", "admin"),
        ("psql", "execute"),
        ("mysql --execute=SHUTDOWN", "admin"),
        ("redis-cli -n 1 get a", "read"),
        ("redis-cli nosuch", "admin"),
        ("redis-cli", "execute"),
    ],
)
def test_client(line: str, operation: str) -> None:
    name, *arguments = line.split()
    assert CLIENTS[name](Recorder(), [Word(each) for each in arguments]) == operation
