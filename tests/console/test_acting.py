"""Whose act a command is."""

import pytest

from console.acting import who_acts
from console.control import find_place
from console.remote import Login, write_login
from schemas.errors import ConfigError, Unreachable
from schemas.runtime import Home
from tests.support.api import Api, document_of
from tests.support.homes import write_settings
from tests.support.oidc_provider import OidcProvider


def sign_in(home: Home, api: Api, provider: OidcProvider, principal: str = "ann@example.com") -> str:
    session = document_of(api.ask("POST", "/v1/sign-in", json={"id_token": provider.id_token()}))
    write_login(home, Login(api.url, session["token"], principal, session["expires_at"]))
    return str(session["token"])


def test_where_nobody_signs_in_a_name_is_believed(bare_home: Home) -> None:
    assert who_acts(find_place(), "bob@example.test", "--as").principal == "bob@example.test"
    assert who_acts(find_place(), "", "--as").principal.endswith("@local")


OIDC = {"oidc": {"issuer": "https://id.example.test", "client_id": "custody"}}
SAML = {"saml": dict(idp_entity_id="idp", sso_url="https://idp.example/sso", certificate_file="c", entity_id="custody")}


@pytest.mark.parametrize("identity", [OIDC, SAML], ids=["oidc", "saml"])
def test_where_people_sign_in_a_name_alone_is_not(bare_home: Home, identity: dict[str, object]) -> None:
    write_settings(bare_home, identity=identity)
    for given in ("bob@example.test", ""):
        with pytest.raises(ConfigError, match="`custody login` first"):
            who_acts(find_place(), given, "--as")


def test_who_is_signed_in_acts_and_nobody_else(bare_home: Home, api: Api, provider: OidcProvider) -> None:
    token = sign_in(bare_home, api, provider, "root@example.com")  # what the file says is not believed
    for given in ("", "Ann@Example.com"):
        assert who_acts(find_place(), given, "--as").principal == "ann@example.com"
    for given in ("bob@example.com", "root@example.com"):
        with pytest.raises(ConfigError, match=r"signed in as ann@example\.com: --as \w+@example\.com is somebody else"):
            who_acts(find_place(), given, "--as")
    api.ask("DELETE", "/v1/sign-in", token=token)
    with pytest.raises(ConfigError, match="sign in again"):
        who_acts(find_place(), "", "--as")


def test_what_is_done_on_this_host_takes_a_login_at_its_own_api(
    bare_home: Home, api: Api, provider: OidcProvider
) -> None:
    sign_in(bare_home, api, provider)
    write_settings(bare_home, ports={"api": 1})
    with pytest.raises(Unreachable):
        who_acts(find_place(), "", "--by", is_here=True)
    write_settings(bare_home, ports={"api": api.port})
    assert who_acts(find_place(), "", "--by", is_here=True).principal == "ann@example.com"
