"""Sign-in at oidc-provider, which is certified by the OpenID Foundation."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from console.commands.login import wait_for
from console.oidc.errors import TokenRefused
from console.oidc.people import person_of
from console.oidc.provider import Pending, Provider, make_verifier
from console.oidc.workloads import Workloads
from schemas.identity_config import Oidc, TrustedIssuer
from tests.servers.oidc_server import OidcServer, run_server, use_browser

pytestmark = pytest.mark.servers

REDIRECT = "http://127.0.0.1:9/callback"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcServer]:
    with run_server(tmp_path_factory.mktemp("oidc")) as running:
        yield running


@pytest.fixture
def settings(server: OidcServer) -> Oidc:
    return Oidc(issuer=server.issuer, client_id="custody", scopes=["openid", "email"])


@pytest.fixture
def provider(settings: Oidc) -> Provider:
    return Provider(settings)


def answer_of(provider: Provider, challenge: str, nonce: str = "n-1") -> dict[str, list[str]]:
    url = provider.authorize_url(REDIRECT, "s-1", nonce, challenge)
    return parse_qs(urlsplit(use_browser(url, "ann", REDIRECT)).query)


def test_authorization_code_with_pkce(provider: Provider, settings: Oidc, server: OidcServer) -> None:
    verifier, challenge = make_verifier()
    answer = answer_of(provider, challenge)
    assert answer["state"] == ["s-1"] and answer["iss"] == [server.issuer]
    claims = provider.verify_id_token(provider.exchange_code(answer["code"][0], REDIRECT, verifier), "n-1")
    person = person_of(claims, settings)
    assert (person.principal, person.groups) == ("ann@example.com", ("security", "developers"))


def test_the_provider_holds_us_to_pkce_and_we_hold_it_to_the_nonce(provider: Provider) -> None:
    verifier, challenge = make_verifier()
    code = answer_of(provider, challenge)["code"][0]
    with pytest.raises(TokenRefused, match="invalid_grant"):
        provider.exchange_code(code, REDIRECT, make_verifier()[0])
    token = provider.exchange_code(answer_of(provider, challenge)["code"][0], REDIRECT, verifier)
    with pytest.raises(TokenRefused, match="nonce"):
        provider.verify_id_token(token, "n-2")


def test_the_device_flow(provider: Provider, settings: Oidc) -> None:
    device = provider.start_device()
    with pytest.raises(Pending):
        provider.poll_device(device)
    page = use_browser(device.whole_uri, "bob")
    assert "Sign-in Success" in page
    person = person_of(provider.verify_id_token(wait_for(provider, device)), settings)
    assert person.principal == "bob@example.com"


def test_a_token_for_another_client_is_refused(provider: Provider, server: OidcServer) -> None:
    with pytest.raises(TokenRefused, match="audience"):
        provider.verify_id_token(server.client_token())


def test_a_workload_by_client_credentials(server: OidcServer) -> None:
    trusted = TrustedIssuer(name="idp", issuer=server.issuer, audience="urn:custody:api")
    workload = Workloads([trusted]).identify(server.client_token())
    assert workload.principal == "idp:planner"
    with pytest.raises(TokenRefused, match="audience"):
        Workloads([trusted.model_copy(update={"audience": "custody"})]).identify(server.client_token())
