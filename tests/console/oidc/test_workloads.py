from typing import Any

import pytest

from console.oidc.errors import ProviderFailed, TokenRefused
from console.oidc.workloads import Workloads, claim_at
from schemas.identity_config import TrustedIssuer
from tests.support.oidc_provider import OidcProvider

AUDIENCE = "custody-api"


def workloads(provider: OidcProvider, **changes: Any) -> Workloads:
    values = {"name": "cluster", "issuer": provider.issuer, "audience": AUDIENCE}
    return Workloads([TrustedIssuer.model_validate(values | changes)])


def token(provider: OidcProvider, kid: str = "rsa-1", **changes: Any) -> str:
    return provider.sign(provider.claims(aud=[AUDIENCE], sub="system:serviceaccount:agents:planner", **changes), kid)


def test_a_workload_is_its_issuer_and_subject(provider: OidcProvider) -> None:
    found = workloads(provider).identify(token(provider))
    assert found.principal == "cluster:system:serviceaccount:agents:planner"
    assert "ann@example.com" not in repr(found)


def test_keys_may_be_named_where_there_is_no_discovery(provider: OidcProvider) -> None:
    provider.document["issuer"] = "https://another.example"
    with pytest.raises(ProviderFailed):
        workloads(provider).identify(token(provider))
    assert workloads(provider, jwks_url=f"{provider.issuer}/jwks").identify(token(provider))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"iss": "https://evil.example"}, "not trusted"), ({"iss": None}, "not trusted"),
        ({"iss": ["x"]}, "not trusted"),
        ({"aud": "custody"}, "audience"), ({"exp": 1}, "expired"), ({"sub": "a\nb"}, "not a name"),
        ({"sub": ""}, "subject"),
        ({"sub": "x@local"}, "this host"),
    ],
)  # fmt: skip
def test_a_token_that_breaks_a_rule_is_refused(provider: OidcProvider, change: dict[str, Any], words: str) -> None:
    values = {"aud": [AUDIENCE], "sub": "w"} | change
    with pytest.raises(TokenRefused, match=words):
        workloads(provider).identify(provider.sign(provider.claims(**values)))


def test_a_token_for_people_is_none_for_workloads(provider: OidcProvider) -> None:
    with pytest.raises(TokenRefused, match="audience"):
        workloads(provider).identify(provider.id_token())


@pytest.mark.parametrize("text", ["", "a.b.c", "e30.W10.AA", "e30." + "A" * 9 + ".AA", "e30.e30.AA"])
def test_what_is_no_token_is_refused_and_asks_nobody(provider: OidcProvider, text: str) -> None:
    with pytest.raises(TokenRefused):
        workloads(provider).identify(text)
    assert provider.asked == []


@pytest.mark.parametrize(
    ("path", "text"),
    [("sub", "w"), ("k8s.pod.name", "p-1"), ("a.b", "exact"), ("number", "7"), ("yes", "true"), ("list", None),
     ("none", None), ("sub.deeper", None), ("long", None)],
)  # fmt: skip
def test_claims_as_text(path: str, text: str | None) -> None:
    claims = {
        "sub": "w", "k8s": {"pod": {"name": "p-1"}}, "a.b": "exact", "a": {"b": "deep"}, "number": 7, "yes": True,
        "list": ["w"], "long": "x" * 3000,
    }  # fmt: skip
    assert claim_at(claims, path) == text
