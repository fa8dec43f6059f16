import pytest

from policy.model import Operation
from policy.shell_readers import READERS, judge_options, reading
from policy.shell_words import Word
from tests.policy.test_shell_wrappers import Recorder


def words(line: str) -> list[Word]:
    return [Word(text) for text in line.split()]


@pytest.mark.parametrize(
    ("line", "asked", "operation"),
    [
        ("--colour=always a", [], "read"),
        ("--output-delimiter=, a", [], "read"),
        ("--pager less a", [], "execute"),
        ("--compress-program=x a", [], "execute"),
        ("--output b a", ["touch b"], "write"),
        ("--log-file=/etc/passwd a", ["touch /etc/passwd"], "admin"),
    ],
)
def test_options_that_are_called_alike_everywhere(line: str, asked: list[str], operation: str) -> None:
    frame = Recorder()
    assert judge_options(frame, words(line)) == Operation(operation) and frame.asked == asked


@pytest.mark.parametrize(
    ("line", "asked", "operation"),
    [
        ("-a in", [], "read"),
        ("-ao out in", ["touch out"], "write"),
        ("-oout in", ["touch out"], "write"),
        ("in out", ["touch out"], "write"),
        ("-xk in", [], "admin"),
        ("-r in", [], "execute"),
        ("run", [], "execute"),
    ],
)
def test_a_reader_s_own_options(line: str, asked: list[str], operation: str) -> None:
    frame = Recorder()
    handle = reading("-o", runs=("-r", "run"), changes=("-k",), files=1)
    found = handle(frame, words(line))
    assert found == Operation(operation) and [each for each in frame.asked if each in asked] == asked


@pytest.mark.parametrize(
    ("name", "line", "operation"),
    [
        ("less", "+G a", "read"),
        ("less", "+!id a", "execute"),
        ("ip", "a", "read"),
        ("ip", "-4 addr show eth0", "read"),
        ("ip", "a a 10.0.0.1/8 dev x", "admin"),
        ("fc", "-l", "read"),
        ("fc", "-s rm", "execute"),
        ("hash", "-p /tmp/x ls", "execute"),
        ("mapfile", "-t a", "read"),
        ("mapfile", "-C evil a", "delete"),
        ("jobs", "-x rm a", "write"),
        ("gzip", "-dc a", "read"),
        ("gzip", "-d a", "write"),
    ],
)
def test_readers(name: str, line: str, operation: str) -> None:
    assert READERS[name](Recorder(), words(line)) == Operation(operation)
