import pytest

from schemas.config import parse_settings
from schemas.errors import ConfigError


def test_nobody_can_sign_in_by_default() -> None:
    assert parse_settings("").identity.oidc.issuer == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("issuer: http://idp.example", "https"),
        ("issuer: 'https://u:p@idp.example'", "URL"),
        ("issuer: 'https://idp.example?x=1'", "query"),
        ("issuer: https://idp.example", "client_id"),
        ("issuer: https://idp.example, client_id: c, scopes: [email]", "openid"),
        ("issuer: https://idp.example, client_id: c, scopes: [openid, 'a b']", "scope"),
        ("algorithms: [HS256]", "algorithms"),
        ("algorithms: [none]", "algorithms"),
        ("algorithms: []", "algorithms"),
        ("max_skew_s: 301", "max_skew_s"),
        ("client_secret: hunter2", "client_secret"),
    ],
)
def test_faults_are_named(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse_settings(f"identity: {{oidc: {{{text}}}}}")
    assert "hunter2" not in str(caught.value)


def test_a_provider_on_this_host_may_be_without_tls() -> None:
    settings = parse_settings("identity: {oidc: {issuer: 'http://127.0.0.1:9000', client_id: c}}")
    assert settings.identity.oidc.algorithms[0] == "RS256"
