import pytest

from masking.assignments import find_flags, find_named, name_before
from tests.masking.helpers import masker


def found(text: str) -> list[tuple[str, str]]:
    return [(f.label, text[f.start : f.end]) for f in masker().mask_text(text).findings]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"user_password", "user_password"),
        (b'{"a": 1, "api-key"', "api-key"),
        (b"x.y[token]", "x.y[token"),
        (b"one\ntwo words ", "two words"),
        (b"", ""),
        (b"a;b=c", "c"),
    ],
)
def test_the_words_before_an_offset(text: bytes, name: str) -> None:
    assert name_before(text, len(text)) == name


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("export DB_PASSWORD='p@ss word'\n", ["p@ss word"]),
        ("password = hunter2 # old", ["hunter2"]),
        ("DB_PASSWORD=a&b;c|d\nX=1", ["a&b;c|d"]),
        ("Server=db;Password=h;unter;Encrypt=yes", ["h"]),
        ("a=1&password=hunter2&b=2", ["hunter2"]),
        ("password: 'it''s'", ["it''s"]),
        ('password: "a\\"b"', ['a\\"b']),
        ("password:\n    hunter2\nname: x", ["hunter2"]),
        ("password: |\n  line1x\n  line2\nname: x", ["line1x\n  line2"]),
        ("api_keys:\n- abcd1234abcd\n- efgh5678efgh\nx: 1", ["abcd1234abcd", "efgh5678efgh"]),
        ('{"password": 12345678}', ["12345678"]),
        ("$config['db_password'] = 'hunter2';", ["hunter2"]),
        ("db.password -> hunter2", ["hunter2"]),
        ("password := os.Getenv('X')", []),
        ("if password == other_password:", []),
        ("password: Optional[str] = None", []),
        ("def login(user: str, password: str) -> None:", []),
        ("PWD=/home/user/app", []),
        ("token_url: https://auth.example.com/token", []),
        ("Authorization: Bearer abcdefghijkl1234", ["abcdefghijkl1234"]),
        ("set-password: 'hunter2'", ["hunter2"]),
    ],
)
def test_values_in_many_notations(text: str, values: list[str]) -> None:
    assert [value for _, value in found(text)] == values


def test_what_lies_in_a_token_is_no_name() -> None:
    assert found("‹password:abcdefghijklmnop›=x") == []


def test_offsets_beyond_the_text_and_in_any_order_do_no_harm() -> None:
    text = b"password=hunter2 token=abcd1234efgh"
    assert [hit[:2] for hit in find_named(text, text, [99, 23, 9, 9])] == [(9, 16), (23, 35)]
    assert list(find_named(b"", b"", [0, 1])) == []
    assert list(find_flags(b"--", b"--", [2])) == []


def test_flags() -> None:
    assert found("tool --api-key abcd1234efgh --verbose") == [("api_key", "abcd1234efgh")]
    assert found("tool --password --force") == []
    assert found('tool --password "$PW"') == []
