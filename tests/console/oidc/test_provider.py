"""The client's side of OpenID Connect against a real provider."""

import base64
import time
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from console.oidc.errors import ProviderFailed, TokenRefused
from console.oidc.provider import Pending, Provider, error_of, id_token_of, make_verifier
from schemas.identity_config import Oidc
from tests.support.oidc_provider import CLIENT, OidcProvider

REDIRECT = "http://127.0.0.1:9/callback"


def client(provider: OidcProvider, **changes: Any) -> Provider:
    return Provider(Oidc(issuer=provider.issuer, client_id=CLIENT, **changes))


def sign_in(provider: OidcProvider, mine: Provider, nonce: str = "n-1") -> tuple[str, str]:
    """(code, verifier) of a person that agreed at once."""
    verifier, challenge = make_verifier()
    url = mine.authorize_url(REDIRECT, "s-1", nonce, challenge)
    answer = httpx.get(url, trust_env=False)
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert query["state"] == ["s-1"]
    return query["code"][0], verifier


def test_authorization_code_with_pkce(provider: OidcProvider) -> None:
    mine = client(provider)
    code, verifier = sign_in(provider, mine)
    claims = mine.verify_id_token(mine.exchange_code(code, REDIRECT, verifier), "n-1")
    assert claims["email"] == "ann@example.com"


def test_a_code_counts_once_and_only_with_its_verifier_and_address(provider: OidcProvider) -> None:
    mine = client(provider)
    for changes in ({"verifier": "other"}, {"redirect": "http://127.0.0.1:9/other"}):
        code, verifier = sign_in(provider, mine)
        with pytest.raises(TokenRefused, match="invalid_grant"):
            mine.exchange_code(code, changes.get("redirect", REDIRECT), changes.get("verifier", verifier))
    code, verifier = sign_in(provider, mine)
    mine.exchange_code(code, REDIRECT, verifier)
    with pytest.raises(TokenRefused, match="invalid_grant"):
        mine.exchange_code(code, REDIRECT, verifier)


def test_the_device_flow_waits_slows_down_and_ends(provider: OidcProvider) -> None:
    mine = client(provider)
    device = mine.start_device()
    assert device.user_code == "ABCD-EFGH" and device.ends_at > time.time()
    provider.device_answers[:] = ["authorization_pending", "slow_down"]
    with pytest.raises(Pending) as first:
        mine.poll_device(device)
    with pytest.raises(Pending) as second:
        mine.poll_device(device)
    assert (first.value.is_slow, second.value.is_slow) == (False, True)
    assert mine.verify_id_token(mine.poll_device(device))["sub"] == "ann-1"
    with pytest.raises(TokenRefused):
        mine.poll_device(device)


@pytest.mark.parametrize(
    ("error", "words"), [("access_denied", "denied"), ("expired_token", "too long"), ("weird\x1b[2J", "unknown")]
)
def test_a_device_flow_that_ends_badly_says_how(provider: OidcProvider, error: str, words: str) -> None:
    mine = client(provider)
    device = mine.start_device()
    provider.device_answers[:] = [error]
    with pytest.raises(TokenRefused, match=words):
        mine.poll_device(device)


def test_a_provider_under_another_name_is_refused(provider: OidcProvider) -> None:
    provider.document["issuer"] = "https://evil.example"
    with pytest.raises(ProviderFailed, match="another issuer"):
        client(provider).start_device()


@pytest.mark.parametrize("endpoint", ["http://evil.example/token", "", None, 7, "javascript:alert(1)"])
def test_endpoints_in_clear_text_or_missing_are_refused(provider: OidcProvider, endpoint: Any) -> None:
    provider.document["device_authorization_endpoint"] = endpoint
    with pytest.raises(ProviderFailed):
        client(provider).start_device()


def test_discovery_is_read_once(provider: OidcProvider) -> None:
    mine = client(provider)
    for _ in range(3):
        mine.start_device()
        mine.verify_id_token(provider.id_token())
    assert provider.asked.count("/.well-known/openid-configuration") == 1
    assert provider.asked.count("/jwks") == 1


def test_a_confidential_client_shows_its_secret_as_rfc_6749_says(provider: OidcProvider) -> None:
    sent: list[tuple[Any, Any]] = []

    class Spy:
        def check_url(self, url: str) -> None:
            assert url == "https://idp.example/token"

        def get(self, url: str) -> dict[str, Any]:
            return {"issuer": provider.issuer, "token_endpoint": "https://idp.example/token"}

        def post(self, url: str, form: Any, headers: Any) -> tuple[int, dict[str, Any]]:
            sent.append((form, headers))
            return 200, {"id_token": "a.b.c"}

    settings = Oidc(issuer=provider.issuer, client_id="cus:tody")
    Provider(settings, "p/ss", web=Spy()).exchange_code("c", REDIRECT, "v")  # type: ignore[arg-type]
    assert sent[0][1]["Authorization"] == "Basic " + base64.b64encode(b"cus%3Atody:p%2Fss").decode()
    assert "client_id" not in sent[0][0]


def test_pkce_is_s256_over_256_random_bits() -> None:
    verifier, challenge = make_verifier()
    assert len(verifier) == 43 and make_verifier()[0] != verifier
    assert base64.urlsafe_b64decode(challenge + "=") == sha256(verifier.encode()).digest()


@pytest.mark.parametrize("document", [{}, {"id_token": None}, {"id_token": 5}, {"id_token": "x" * 20_000}])
def test_an_answer_without_an_id_token(document: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused, match="openid"):
        id_token_of(document)


def test_error_codes_harm_no_terminal() -> None:
    assert error_of({"error": "\x1b[2J"}) == "unknown" and error_of({}) == "unknown"
    assert error_of({"error": "invalid_grant"}) == "invalid_grant"
