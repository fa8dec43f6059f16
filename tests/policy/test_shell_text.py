import pytest

from policy.shell_text import run_awk, run_sed
from policy.shell_words import Word
from tests.policy.test_shell_wrappers import Recorder


@pytest.mark.parametrize(
    ("arguments", "operation"),
    [
        (["-n", "1,5p", "f"], "read"),
        (["s/a;b/id/e", "f"], "execute"),
        (["s/e/the/", "f"], "read"),
        (["s|a|b|w out", "f"], "write"),
        (["/x/e id"], "execute"),
        (["-e", "p", "-e", "1e id"], "execute"),
        (["-i.bak", "p", "f"], "write"),
        (["-i", "p", "/etc/hosts"], "admin"),
        (["-f", "x.sed"], "execute"),
    ],
)
def test_sed(arguments: list[str], operation: str) -> None:
    assert run_sed(Recorder(), [Word(each) for each in arguments]) == operation


@pytest.mark.parametrize(
    ("program", "operation"),
    [
        ("{print $1}", "read"),
        ("$1 > 5 || $2 {print}", "read"),
        ('{print "system | x"}', "read"),
        ('{print > "f"}', "write"),
        ('{print | "sh"}', "execute"),
        ('BEGIN {system("id")}', "execute"),
        ('"id" | getline x', "execute"),
    ],
)
def test_awk(program: str, operation: str) -> None:
    assert run_awk(Recorder(), [Word("-F:"), Word(program), Word("f")]) == operation
    assert run_awk(Recorder(), [Word(program, is_static=False)]) == "execute"
