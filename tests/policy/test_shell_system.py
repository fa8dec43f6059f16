import pytest

from policy.model import Operation
from policy.shell_system import SYSTEM
from policy.shell_words import Word
from tests.policy.test_shell_wrappers import Recorder


@pytest.mark.parametrize(
    ("line", "asked", "operation"),
    [
        ("tee a b", ["touch a", "touch b"], "write"),
        ("dd if=a of=b", ["touch b"], "write"),
        ("tar cf a b", ["touch a"], "write"),
        ("tar tf a", [], "read"),
        ("tar xf a --to-command=sh", [], "execute"),
        ("kill -0 1", [], "read"),
        ("kill 1", [], "admin"),
        ("date +%s", [], "read"),
        ("date -s now", [], "admin"),
        ("service nginx status", [], "read"),
        ("service nginx stop", [], "admin"),
        ("crontab -l", [], "read"),
        ("crontab", [], "execute"),
        ("rpm -qa", [], "read"),
        ("rpm -q --eval x", [], "admin"),
        ("unzip -l a", [], "read"),
    ],
)
def test_the_arguments_of_a_tool_say_whether_it_only_reads(line: str, asked: list[str], operation: str) -> None:
    name, *arguments = line.split()
    frame = Recorder()
    assert SYSTEM[name](frame, [Word(each) for each in arguments]) == Operation(operation)
    assert frame.asked == asked
