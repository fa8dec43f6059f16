import pytest

from tests.masking.helpers import masker


def found(text: str) -> list[str]:
    return [text[f.start : f.end] for f in masker().mask_text(text).findings]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("The password is hunter2.", "hunter2"),
        ("password for the staging server is 'blue horse 7'", "blue horse 7"),
        ("Your new password: swordfish", "swordfish"),
        ("I changed the root password to Tr0ub4dor&3", "Tr0ub4dor&3"),
        ("use api key q1W2e3R4t5Y6u7I8 here", "q1W2e3R4t5Y6u7I8"),
        ("the access token for bob is q1W2e3R4t5Y6u7I8o9", "q1W2e3R4t5Y6u7I8o9"),
        ("Enter PIN 4711 at the door", "4711"),
        ("his passport number is X1234567", "X1234567"),
        ("one-time password: 123456", "123456"),
        ("login: bob / hunter2", "hunter2"),
    ],
)
def test_what_a_sentence_gives(text: str, value: str) -> None:
    assert found(text) == [value]


@pytest.mark.parametrize(
    "text",
    [
        "The password is wrong.",
        "password authentication failed for user bob",
        "please reset your password to continue",
        "the token is expired",
        "token for the next page",
        "A secret is something hidden",
        "the passport office is closed",
        "password must contain a digit",
        "Accepted password for root from host port 22 ssh2",
        "pin the version to 4",
        "check the account number field",
    ],
)
def test_what_it_only_talks_about(text: str) -> None:
    assert found(text) == []
