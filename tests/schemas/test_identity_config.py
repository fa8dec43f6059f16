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


@pytest.mark.parametrize(
    ("domains", "words"),
    [
        ("{name: mesh, trust_domain: Mesh.example, bundle_file: b}", "trust_domain"),
        ("{name: mesh, trust_domain: 'spiffe://mesh', bundle_file: b}", "trust_domain"),
        ("{name: mesh, trust_domain: mesh.example}", "bundle_file"),
        ("{name: cluster, trust_domain: mesh.example, bundle_file: b}", "two trust domains"),
        (
            "{name: a, trust_domain: m.example, bundle_file: b}, {name: c, trust_domain: m.example, bundle_file: d}",
            "two trust domains",
        ),
    ],
    ids=str,
)
def test_faults_of_trust_domains_are_named(domains: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_settings(f"identity: {{{CLUSTER}, trust_domains: [{domains}]}}")


def test_a_grant_may_name_a_trust_domain() -> None:
    grant = "{agent: a, on_its_own: true, resources: ['*'], workload: {issuer: mesh, claims: {sub: 'spiffe://m/a'}}}"
    mesh = "trust_domains: [{name: mesh, trust_domain: m, bundle_file: b}]"
    assert parse_settings(f"identity: {{{mesh}, grants: [{grant}]}}").identity.grants[0].agent == "a"
    with pytest.raises(ConfigError, match="'mesh', which is not among"):
        parse_settings(f"identity: {{grants: [{grant}]}}")


@pytest.mark.parametrize(
    ("grant", "words"),
    [
        ("agent: a, groups: [g], resources: ['*'], bound: true", "bound needs a workload"),
        (
            "agent: a, on_its_own: true, resources: ['*'], bound: true, workload: {issuer: cluster, claims: {sub: x}}",
            "tokens, not certificates",
        ),
    ],
    ids=["nobody", "token"],
)
def test_only_certificates_bind(grant: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_settings(f"identity: {{{CLUSTER}, grants: [{{{grant}}}]}}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("idp_entity_id: i", "needs sso_url, certificate_file and entity_id"),
        ("sso_url: 'http://idp.example/sso?x=1'", "https"),
        ("sso_url: 'https://idp.example/sso?x=1#y'", "URL"),
        ("sso_url: 'https://idp.example/sso?x= 1'", "URL"),
        ("acs_url: 'https://custody.example/acs?x=1'", "query"),
        ("max_skew_s: 301", "max_skew_s"),
    ],
)
def test_faults_of_saml_are_named(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_settings(f"identity: {{saml: {{{text}}}}}")


def test_a_saml_provider_may_have_a_query_in_its_address() -> None:
    saml = "idp_entity_id: i, sso_url: 'https://idp.example/sso?x=1', certificate_file: c, entity_id: e"
    assert parse_settings(f"identity: {{saml: {{{saml}}}}}").identity.saml.sso_url.endswith("?x=1")
