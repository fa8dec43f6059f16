import pytest

from policy.shell_tools import TOOLS
from policy.shell_words import Word
from tests.policy.test_shell_wrappers import Recorder


@pytest.mark.parametrize(
    ("line", "operation"),
    [
        ("docker compose -f x up", "execute"),
        ("docker volume create x", "write"),
        ("docker --context x ps", "read"),
        ("kubectl -n a get pods", "read"),
        ("kubectl --as=root get pods", "execute"),
        ("kubectl create serviceaccount x", "grant"),
        ("kubectl apply -f x --dry-run=client", "read"),
        ("kubectl apply -f x --dry-run=none", "execute"),
        ("aws iam create-user", "grant"),
        ("aws s3 cp a b", "write"),
        ("aws ec2 stop-instances", "admin"),
        ("systemctl --type service list-units", "read"),
        ("gh pr merge 1", "write"),
        ("helm -n x list", "read"),
        ("terraform -version", "admin"),
        ("npm ls", "read"),
    ],
)
def test_tool(line: str, operation: str) -> None:
    name, *arguments = line.split()
    assert TOOLS[name](Recorder(), [Word(each) for each in arguments]) == operation
