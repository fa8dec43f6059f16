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


CLUSTER = "issuers: [{name: cluster, issuer: 'https://k8s.example', audience: custody}]"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("grants: [{agent: a, resources: [r]}]", "grant for nobody"),
        ("grants: [{agent: a, resources: [], groups: [g]}]", "resources"),
        ("grants: [{agent: a, resources: [r], on_its_own: true}]", "need a workload"),
        ("grants: [{agent: a, resources: [r], groups: [g], workload: {issuer: x, claims: {sub: s}}}]", "not among"),
        ("grants: [{agent: a, resources: [r], groups: [g], workload: {issuer: x, claims: {}}}]", "claims"),
        (f"{CLUSTER}, oidc: {{issuer: 'https://k8s.example', client_id: custody}}", "another audience"),
        ("issuers: [{name: a, issuer: 'https://x', audience: c}, {name: b, issuer: 'https://x', audience: d}]", "same"),
        ("issuers: [{name: a, issuer: 'http://x', audience: c}]", "https"),
        ("issuers: [{name: a, issuer: '', audience: c}]", "issuer"),
        ("issuers: [{name: a, issuer: 'https://x', audience: ''}]", "audience"),
    ],
)
def test_faults_of_workloads_and_grants_are_named(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_settings(f"identity: {{{text}}}")


def test_a_grant_may_name_a_trusted_workload() -> None:
    grant = "{agent: a, resources: [r], on_its_own: true, workload: {issuer: cluster, claims: {sub: s}}}"
    assert parse_settings(f"identity: {{{CLUSTER}, grants: [{grant}]}}").identity.grants[0].max_ttl_s == 3600
