import pytest

from console.api.codes import LASTS_S, MAX_WAITING, Agreed, Codes, challenge_of, is_own_redirect
from console.oidc.errors import TokenRefused

VERIFIER = "v" * 43
AGREED = Agreed("notebook", "http://127.0.0.1:1/cb", challenge_of(VERIFIER), "tools", "t")
ASKED = ("notebook", "http://127.0.0.1:1/cb", VERIFIER)


def test_the_challenge_is_that_of_the_rfc() -> None:
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_a_code_counts_once_and_for_who_began_it() -> None:
    codes = Codes()
    assert codes.take(codes.put(AGREED), *ASKED) is AGREED
    for place, value in (
        (0, "other"),
        (1, "http://127.0.0.1:2/cb"),
        (2, "w" * 43),
        (2, ""),
        (2, "v" * 42),
        (2, "é" * 43),
    ):
        code = codes.put(AGREED)
        asked = [*ASKED]
        asked[place] = value
        with pytest.raises(TokenRefused):
            codes.take(code, *asked)
        with pytest.raises(TokenRefused, match="was used"):
            codes.take(code, *ASKED)


def test_codes_are_few_and_short_lived() -> None:
    now = [0.0]
    codes = Codes(lambda: now[0])
    first = codes.put(AGREED)
    kept = [codes.put(AGREED) for _ in range(MAX_WAITING)]
    with pytest.raises(TokenRefused):
        codes.take(first, *ASKED)
    now[0] = LASTS_S + 1
    with pytest.raises(TokenRefused):
        codes.take(kept[-1], *ASKED)


@pytest.mark.parametrize(
    ("url", "is_own"),
    [
        ("http://127.0.0.1:8080/cb", True),
        ("http://localhost/cb?x=1", True),
        ("http://[::1]:9/", True),
        ("https://127.0.0.1/cb", False),
        ("http://evil.example/cb", False),
        ("http://127.0.0.1@evil.example/cb", False),
        ("http://evil@127.0.0.1/cb", False),
        ("http://127.0.0.1/cb#x", False),
        ("http://127.0.0.1:99999/", False),
        ("http://127.0.0.1/\n", False),
        ("http://127.0.0.1/;script-src", False),
        ("javascript:alert(1)", False),
        ("", False),
    ],
)
def test_answers_stay_on_the_persons_own_host(url: str, is_own: bool) -> None:
    assert is_own_redirect(url) is is_own
