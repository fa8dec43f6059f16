import time

import pytest

from console.api.sessions import PREFIX
from tests.support.api import Api, document_of
from tests.support.oidc_provider import CLIENT, OidcProvider


def test_a_client_learns_where_to_sign_in(api: Api, provider: OidcProvider) -> None:
    told = document_of(api.ask("GET", "/v1/sign-in"))
    assert (told["issuer"], told["client_id"]) == (provider.issuer, CLIENT)


def test_an_id_token_begins_a_session_and_signing_out_ends_it(api: Api, provider: OidcProvider) -> None:
    session = document_of(api.ask("POST", "/v1/sign-in", json={"id_token": provider.id_token()}))
    assert session["token"].startswith(PREFIX) and session["roles"] == ["auditor"]
    assert session["expires_at"] > time.time() * 1_000_000
    assert document_of(api.ask("GET", "/v1/whoami", token=session["token"]))["principal"] == "ann@example.com"
    assert api.ask("DELETE", "/v1/sign-in", token=session["token"]).status_code == 204
    assert api.ask("GET", "/v1/whoami", token=session["token"]).status_code == 401


def test_who_signed_in_is_on_the_record_and_no_token_is(api: Api, provider: OidcProvider) -> None:
    id_token = provider.id_token()
    session = document_of(api.ask("POST", "/v1/sign-in", json={"id_token": id_token}))
    context, events = api.recorded("sign_in")[-1]
    assert context.principal == "ann@example.com" and events[1].attributes["roles"] == "auditor"
    seen = repr(api.trail()) + api.log_text() + (api.home.root / "api" / "sessions.json").read_text()
    assert session["token"] not in seen and id_token not in seen and id_token.split(".")[2] not in seen


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "other"},
        {"iss": "x"},
        {"exp": 1},
        {"nbf": 2e9},
        {"azp": "other"},
        {"email": "root@local"},
        {"email": ""},
    ],
    ids=str,
)
def test_a_token_that_breaks_a_rule_begins_nothing(api: Api, provider: OidcProvider, change: dict[str, object]) -> None:
    response = api.ask("POST", "/v1/sign-in", json={"id_token": provider.id_token(**change)})
    assert response.status_code == 401 and "token" not in response.json()


def test_a_replayed_token_begins_nothing(api: Api, provider: OidcProvider) -> None:
    token = provider.id_token()
    assert api.ask("POST", "/v1/sign-in", json={"id_token": token}).status_code == 201
    again = api.ask("POST", "/v1/sign-in", json={"id_token": token})
    assert again.status_code == 401 and "before" in again.json()["detail"]


def test_a_person_without_roles_may_say_who_they_are_and_nothing_else(api: Api, provider: OidcProvider) -> None:
    provider.user |= {"email": "bob@example.com", "groups": []}
    token = document_of(api.ask("POST", "/v1/sign-in", json={"id_token": provider.id_token()}))["token"]
    assert document_of(api.ask("GET", "/v1/whoami", token=token))["permissions"] == []
    for path in ("/v1/sessions", "/v1/resources", "/v1/health"):
        assert api.ask("GET", path, token=token).status_code == 403


def test_a_password_of_the_home_has_no_session_to_end(api: Api) -> None:
    assert api.ask("DELETE", "/v1/sign-in", "auditor").status_code == 400


def test_before_a_login_little_is_read(api: Api) -> None:
    assert api.ask("POST", "/v1/sign-in", json={"id_token": "x" * 70_000}).status_code == 413
