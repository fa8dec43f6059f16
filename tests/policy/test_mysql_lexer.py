import pytest

from policy.mysql_lexer import LexicalError, Reading, readings_of, tokenize


def texts(text: str, reading: Reading | None = None) -> list[str]:
    return [token.text for token in tokenize(text, reading or Reading())]


def test_tokens() -> None:
    assert texts("select `a b`, 'it''s', \"x\", 1.5e3, @@g.x, @v, a->>'$.b' <=> 0xFF") == [
        "SELECT", "a b", ",", "it''s", ",", "x", ",", "1.5e3", ",", "@@g.x", ",", "@v", ",", "A", "->>", "$.b", "<=>",
        "0xFF",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "reading", "expected"),
    [
        ("1 /* x */ 2", Reading(), ["1", "2"]),
        ("1 # x\n2", Reading(), ["1", "2"]),
        ("1 -- x\n2", Reading(), ["1", "2"]),
        ("1--2", Reading(), ["1", "-", "-", "2"]),
        ("/*! A */ B", Reading(), ["A", "B"]),
        ("/*!50000 A */ B", Reading(), ["A", "B"]),
        ("/*!50000 A */ B", Reading(version=49_999), ["B"]),
        ("/*!50000 A /* c */ D */ B", Reading(version=49_999), ["B"]),
        ("/*!50000 A /* c */ D */ B", Reading(), ["A", "D", "B"]),
        ("/*M! A */ B", Reading(), ["B"]),
        ("/*M! A */ B", Reading(is_mariadb=True), ["A", "B"]),
        ("/*!80000 A */ B", Reading(is_mariadb=True), ["B"]),
        (r"'a\'' b", Reading(), [r"a\'", "B"]),
        (r"'a\' b", Reading(has_backslashes=False), ["a\\", "B"]),
    ],
)
def test_readings_differ(text: str, reading: Reading, expected: list[str]) -> None:
    assert texts(text, reading) == expected


def test_a_quote_is_a_name_in_ansi_mode() -> None:
    (token,) = tokenize('"a"', Reading(has_ansi_quotes=True))
    assert token.kind == "name"


@pytest.mark.parametrize("text", ["'a", "`a", "/* a", "/*! a", "\\! x", '"a'])
def test_what_does_not_end_is_an_error(text: str) -> None:
    with pytest.raises(LexicalError):
        texts(text)


def test_only_readings_that_may_differ_are_tried() -> None:
    assert len(readings_of("SELECT 1")) == 1
    assert len(readings_of("SELECT '\\''")) == 2
    assert len(readings_of('SELECT "a\\""')) == 4
    assert len(readings_of("/*!40000 a */ /*!80000 b */")) == 6
    with pytest.raises(LexicalError):
        readings_of("".join(f"/*!{50_000 + n} */" for n in range(9)))
