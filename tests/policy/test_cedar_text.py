import pytest

from policy.cedar_text import split_policies


def test_policies_are_split_with_their_lines() -> None:
    text = """// a; comment
permit (principal, action, resource)
when { context.step == "a;b\\";" };

// another
@id("x") forbid (
  principal, action, resource
);
permit"""
    assert [(piece.line, piece.text[:7]) for piece in split_policies(text)] == [
        (2, "permit "),
        (6, '@id("x"'),
        (9, "permit"),
    ]


@pytest.mark.parametrize("text", ["", "// only a comment", "\n\n", "//;"])
def test_nothing_is_no_policy(text: str) -> None:
    assert list(split_policies(text)) == []


@pytest.mark.parametrize("text", ['"', '"open;', "((((;", "))));", "\\", '"\\'])
def test_what_is_not_closed_stays_one_piece(text: str) -> None:
    assert len(list(split_policies(text))) == 1
