import pytest

from policy.model import Operation
from policy.shell_commands import write_operation
from policy.shell_words import Word
from policy.shell_wrappers import WRAPPERS


class Recorder:
    """A frame that notes what a handler asks it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def touch(self, path: str, access: Operation) -> Operation:
        self.asked.append(f"touch {path}")
        return write_operation(path, access)

    def script(self, text: str) -> Operation:
        self.asked.append(f"script {text}")
        return Operation.DELETE

    def command(self, words: list[Word]) -> Operation:
        self.asked.append("command " + " ".join(word.text for word in words))
        return Operation.WRITE


@pytest.mark.parametrize(
    ("line", "asked", "operation"),
    [
        ("env -i A=b rm x", ["script A=x", "command rm x"], "delete"),
        ("timeout -s KILL 5 rm x", ["command rm x"], "write"),
        ("nice -n 5 rm x", ["command rm x"], "write"),
        ("sudo -u root rm x", ["command rm x"], "execute"),
        ("xargs -I{} rm {}", ["command rm {}"], "write"),
        ("find a -name b -exec rm {} ;", ["command rm {}", "touch a"], "write"),
        ("sh -c ls", ["script ls"], "execute"),
        ("ssh -p 22 host ls -l", ["script ls -l"], "execute"),
        ("command -v ls", [], "read"),
    ],
)
def test_a_wrapper_hands_on_what_it_runs(line: str, asked: list[str], operation: str) -> None:
    name, *arguments = line.split()
    frame = Recorder()
    assert WRAPPERS[name](frame, [Word(each) for each in arguments]) == operation
    assert frame.asked == asked


def test_a_computed_text_could_be_anything() -> None:
    assert WRAPPERS["sh"](Recorder(), [Word("-c"), Word("$x", is_static=False)]) is Operation.ADMIN
    assert WRAPPERS["eval"](Recorder(), [Word("$x", is_static=False)]) is Operation.ADMIN
