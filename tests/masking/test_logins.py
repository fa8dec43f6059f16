import re

import pytest

from masking import logins


def hits(check, text: str, pattern: str) -> list[str]:
    data = text.encode()
    match = re.search(pattern.encode(), data)
    return [data[start:end].decode() for start, end, _ in check(data, match, 1)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://bob:hunter2@host", ["hunter2"]),
        ("https://user:hunter2@host", ["hunter2"]),
        ("https://bob:password@host", ["password"]),
        ("https://user:password@host", []),
        ("https://USER:PASS@host", []),
        ("https://bob:${PW}@host", []),
        ("curl <user:password>@host", []),
    ],
)
def test_a_login_is_secret_unless_it_is_the_example_of_a_document(text, found):
    assert hits(logins.check_login, text, r":([^/:@]+)@") == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mF_9.B5f-4.1JqM8wq2", ["mF_9.B5f-4.1JqM8wq2"]),
        ("dXNlcjpwYXNzd29yZA==", ["dXNlcjpwYXNzd29yZA=="]),
        ("token=abcd1234efgh", ["abcd1234efgh"]),
        ('username="bob", nonce="5ccc069c403e", response="6629fae49393a053"', ["6629fae49393a053"]),
        ('oauth_consumer_key="x", oauth_signature="tnnArxj06cWHq44gCs1OSKk"', ["tnnArxj06cWHq44gCs1OSKk"]),
        ("Bearer ", []),
        ("b", []),
        ("${TOKEN}", []),
    ],
)
def test_of_an_authorization_header_what_proves_something_is_secret(text, found):
    assert hits(logins.check_authorization, text, r'\A([^"]+)') == found


def test_parameters_are_looked_for_on_their_line_only_and_not_without_end():
    far = 'username="' + "x" * 5000 + '", response="6629fae49393a053"'
    assert hits(logins.check_authorization, far, r'\A([^"]+)') == []
    assert hits(logins.check_authorization, 'username="bob"\nresponse="6629fae49393a053"', r'\A([^"]+)') == []


@pytest.mark.parametrize(
    ("text", "is_hit"),
    [
        ("Blue42Sky", True),
        ("monkey!x", True),
        ("opal-cedar-raven-tulip", True),
        ("end-to-end", False),
        ("required", False),
        ("8-64", False),
        ("$1", False),
    ],
)
def test_a_telling_value_has_letters_and_a_digit_or_a_sign(text, is_hit):
    assert bool(hits(logins.check_telling, text, r"(.+)")) == is_hit
