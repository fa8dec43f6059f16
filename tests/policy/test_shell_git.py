import pytest

from policy.shell_git import run_git
from policy.shell_words import Word
from tests.policy.test_shell_wrappers import Recorder


@pytest.mark.parametrize(
    ("line", "operation"),
    [
        ("status", "read"),
        ("-C x push -f", "delete"),
        ("-c a.b=c status", "execute"),
        ("checkout main", "write"),
        ("checkout -b a/b.c", "write"),
        ("checkout -- f", "delete"),
        ("config a.b", "read"),
        ("config core.pager x", "execute"),
        ("config --global filter.x.clean y", "execute"),
        ("fetch --upload-pack=x", "execute"),
        ("clone ext::sh", "execute"),
        ("stash", "write"),
        ("stash pop", "write"),
        ("stash clear", "delete"),
        ("tag -d x", "delete"),
        ("reflog expire", "delete"),
        ("nosuch", "execute"),
        ("--version", "read"),
    ],
)
def test_git(line: str, operation: str) -> None:
    assert run_git(Recorder(), [Word(each) for each in line.split()]) == operation


def test_a_computed_sub_command_runs_what_it_likes() -> None:
    assert run_git(Recorder(), [Word("$x", is_static=False)]) == "execute"
