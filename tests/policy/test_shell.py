import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.model import Operation
from policy.shell import MAX_CHARS, UNKNOWN, classify_shell
from tests.policy.tables import load_table

TABLE: list[tuple[str, str]] = list(load_table("shell"))


def test_there_are_enough_cases() -> None:
    assert len({statement for _, statement in TABLE}) == len(TABLE) >= 100


@pytest.mark.parametrize(("expected", "statement"), TABLE, ids=[statement for _, statement in TABLE])
def test_operation(expected: str, statement: str) -> None:
    classified = classify_shell(statement)
    assert ("unknown" if classified.is_unknown else classified.operation) == expected
    assert classified.operation is Operation.ADMIN or not classified.is_unknown


@pytest.mark.parametrize(
    ("statement", "objects"),
    [
        ("cat a b", {"read a", "read b"}),
        ("cp a b", {"read a", "write b"}),
        ("rm -rf a", {"delete a"}),
        ("grep x a > b", {"read a", "write b"}),
        ("sort < a", {"read a"}),
        ("curl -o a https://x", {"write a"}),
        ("chmod 600 a", {"grant a"}),
        ("ls > /dev/null", set()),
        ("dd if=x of=a", {"write a"}),
    ],
)
def test_objects(statement: str, objects: set[str]) -> None:
    assert {str(each) for each in classify_shell(statement).objects} == objects


@pytest.mark.parametrize(
    ("statement", "is_multi"),
    [
        ("ls", False), ("ls; pwd", True), ("ls && pwd", True), ("ls || pwd", True), ("ls & pwd", True),
        ("ls\npwd", True),
        ("ls | wc -l", False), ("echo $(ls)", False), ("ls # pwd", False), ("ls;", False),
    ],
)  # fmt: skip
def test_several_commands(statement: str, is_multi: bool) -> None:
    assert classify_shell(statement).is_multi is is_multi


def test_arguments_share_a_shape() -> None:
    one, two, other = (classify_shell(text).fingerprint for text in ("ls -l a", "ls -l 'b c'", "ls -a a"))
    assert one == two != other


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000,
        "$(" * 10_000,
        "echo " + "`" * 5001,
        "if " * 5000,
        "\0",
        "\ud800",
        "sh -c '" * 50,
        "{" * 3000,
        "a=" * 9000,
    ],
)
def test_hostile_text_ends_in_an_answer(text: str) -> None:
    assert classify_shell(text).operation in Operation


def test_text_within_text_ends() -> None:
    text = "ls"
    for _ in range(9):
        text = "eval " + "'" + text.replace("'", "'\\''") + "'"
    assert classify_shell(text).is_unknown


def test_a_giant_script_is_unknown() -> None:
    assert classify_shell("echo " + "x" * MAX_CHARS) == UNKNOWN


WORDS = st.sampled_from(
    "ls rm cat -rf $x $( ) ` ' \" | ; && > < << EOF \n { } ( if then fi sudo sh -c x \\ * = [[ ]]".split(" ")
)


@settings(max_examples=200, deadline=None)
@given(st.lists(WORDS | st.text(max_size=4), max_size=15).map(" ".join))
def test_any_text_is_classified(text: str) -> None:
    classified = classify_shell(text)
    assert classified.operation is Operation.ADMIN or not classified.is_unknown
