import pytest
import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from policy.shell_words import Word, read_word, unescape_ansi


def words(text: str) -> list[Word]:
    tree = Parser(Language(tree_sitter_bash.language())).parse(text.encode())
    command: Node = tree.root_node.children[0]
    return [read_word(child) for child in command.children]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("rm", Word("rm")),
        ("r\\m", Word("rm")),
        ("'r'm", Word("rm")),
        ('"r"m', Word("rm")),
        ("$'\\x72m'", Word("rm")),
        ('$"rm"', Word("rm")),
        ('"a\\"b\\$c"', Word('a"b$c')),
    ],
)
def test_quoting_goes_away(text: str, word: Word) -> None:
    assert words(text)[0] == word


@pytest.mark.parametrize("text", ["$x", '"a$x"', "a${x}b", "$(ls)", "`ls`", "a$((1))"])
def test_what_is_computed_is_not_static(text: str) -> None:
    assert not words(f"echo {text}")[1].is_static


def test_globs_are_seen() -> None:
    assert words("/bin/r? x")[0].has_glob
    assert not words("'/bin/r?' x")[0].has_glob


@pytest.mark.parametrize(
    ("text", "result"),
    [("a\\n", "a\n"), ("\\162m", "rm"), ("\\u0072m", "rm"), ("\\cA", "\x01"), ("\\'", "'"), ("\\U00110000", "\ufffd")],
)
def test_ansi_escapes(text: str, result: str) -> None:
    assert unescape_ansi(text) == result
