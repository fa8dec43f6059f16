import pytest

from console.api.sign_in import LASTS_S, MAX_UNDER_WAY, Attempts, safe_path
from console.oidc.errors import TokenRefused


def test_a_state_counts_once_and_for_its_browser() -> None:
    attempts = Attempts()
    first = attempts.begin("/replay")
    assert attempts.end(first.state, first.browser) is first
    with pytest.raises(TokenRefused, match="not under way"):
        attempts.end(first.state, first.browser)
    second = attempts.begin("/")
    with pytest.raises(TokenRefused, match="another browser"):
        attempts.end(second.state, first.browser)
    with pytest.raises(TokenRefused):  # and the try has ended it
        attempts.end(second.state, second.browser)


def test_nothing_of_two_attempts_is_the_same() -> None:
    attempts = Attempts()
    one, two = attempts.begin("/"), attempts.begin("/")
    for name in ("state", "nonce", "verifier", "challenge", "browser"):
        assert getattr(one, name) != getattr(two, name) and len(getattr(one, name)) >= 43


def test_an_attempt_ends_by_itself() -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    attempt = attempts.begin("/")
    now[0] = LASTS_S + 1
    with pytest.raises(TokenRefused, match="too long"):
        attempts.end(attempt.state, attempt.browser)


def test_a_flood_of_attempts_fills_no_memory() -> None:
    attempts = Attempts()
    first = attempts.begin("/")
    for _ in range(MAX_UNDER_WAY):
        last = attempts.begin("/")
    with pytest.raises(TokenRefused):
        attempts.end(first.state, first.browser)
    assert attempts.end(last.state, last.browser) is last


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "evil",
        "",
        "/a\r\nSet-Cookie: x",
        "/\x00",
        "/" + "x" * 3000,
        "/a\\..\\b",
    ],
)
def test_a_sign_in_leads_nowhere_else(path: str) -> None:
    assert safe_path(path) == "/"


def test_a_path_of_ours_is_kept() -> None:
    assert safe_path("/sessions/s1?after=3") == "/sessions/s1?after=3"
