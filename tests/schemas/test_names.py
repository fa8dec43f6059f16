import pytest

from schemas.names import fold_name, is_same_name


@pytest.mark.parametrize(
    "other",
    ["Bob@Example.test", " bob@example.test ", "ｂｏｂ@example.test", "bob@example.test\u00a0", "BOB@EXAMPLE.TEST"],
)
def test_another_spelling_is_nobody_else(other: str) -> None:
    assert is_same_name("bob@example.test", other)


@pytest.mark.parametrize("other", ["rob@example.test", "bob@example.tests", "b ob@example.test", ""])
def test_another_name_is(other: str) -> None:
    assert not is_same_name("bob@example.test", other)


def test_folding_again_changes_nothing() -> None:
    for name in ("Straße", "İ", "ﬁn", "A\u030a  b", "Ϊ\u0301"):
        assert fold_name(fold_name(name)) == fold_name(name)
