"""Token exchange over HTTP: every proof, every refusal, what is recorded."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from console.api.endpoints.token import ID_TOKEN, JWT
from console.exchange import ACCESS_TOKEN, GRANT_TYPE
from schemas.wire.mint import mint_secret
from tests.support.api import WORKLOAD_AUDIENCE, Api, document_of
from tests.support.oidc_provider import OidcProvider


def workload(provider: OidcProvider, name: str, **changes: Any) -> str:
    return provider.sign(provider.claims(aud=WORKLOAD_AUDIENCE, sub=f"sa:{name}", **changes), "ec-1")


def exchange(api: Api, token: str, kind: str, **form: Any) -> httpx.Response:
    sent = {"grant_type": GRANT_TYPE, "subject_token": token, "subject_token_type": kind, **form}
    return api.ask("POST", "/token", data=sent)


def for_ann(api: Api, provider: OidcProvider, **form: Any) -> httpx.Response:
    actor = {"actor_token": workload(provider, "planner"), "actor_token_type": JWT}
    return exchange(api, provider.id_token(), ID_TOKEN, **(actor | form))


def test_a_workload_gets_a_credential_for_a_person(api: Api, provider: OidcProvider) -> None:
    answer = document_of(for_ann(api, provider, audience=["demo-http"], run_id="run-3", lifetime="600"))
    assert (answer["principal"], answer["agent"], answer["audience"]) == ("ann@example.com", "planner", ["demo-http"])
    assert answer["delegation"] == [{"actor": "planner", "on_behalf_of": "ann@example.com"}]
    assert (answer["issued_token_type"], answer["token_type"], answer["expires_in"]) == (ACCESS_TOKEN, "Bearer", 600)
    secret = mint_secret(api.home.read_key("mint.key"), answer["credential_id"], answer["expires_at"])
    assert answer["access_token"] == f"{answer['credential_id']}.{secret}"
    listed = document_of(api.ask("GET", "/v1/credentials", "auditor"))["credentials"]
    (entry,) = [row for row in listed if row["id"] == answer["credential_id"]]
    assert entry["groups"] == ["security", "developers"] and entry["run_id"] == "run-3"


def test_a_workload_gets_one_for_itself(api: Api, provider: OidcProvider) -> None:
    answer = document_of(exchange(api, workload(provider, "executor"), JWT))
    assert (answer["principal"], answer["agent"], answer["delegation"]) == ("cluster:sa:executor", "executor", [])


def test_a_person_gets_one_by_their_session(api: Api, provider: OidcProvider) -> None:
    session = document_of(api.ask("POST", "/v1/sign-in", json={"id_token": provider.id_token()}))["token"]
    answer = document_of(exchange(api, session, ACCESS_TOKEN, agent="notebook", agent_version="2", charter="ab12"))
    assert (answer["principal"], answer["agent"]) == ("ann@example.com", "notebook")
    api.ask("DELETE", "/v1/sign-in", token=session)
    assert exchange(api, session, ACCESS_TOKEN, agent="notebook").json()["error"] == "invalid_grant"


def test_a_credential_is_handed_on_and_ends_with_its_parent(api: Api, provider: OidcProvider) -> None:
    first = document_of(for_ann(api, provider))
    actor = {"actor_token": workload(provider, "executor"), "actor_token_type": JWT}
    second = document_of(exchange(api, first["access_token"], ACCESS_TOKEN, **actor))
    assert second["delegation"] == [
        {"actor": "planner", "on_behalf_of": "ann@example.com"}, {"actor": "executor", "on_behalf_of": "planner"},
    ]  # fmt: skip
    assert second["expires_at"] <= first["expires_at"] and set(second["audience"]) <= set(first["audience"])
    api.ask("DELETE", f"/v1/credentials/{first['credential_id']}", "operator")
    listed = document_of(api.ask("GET", "/v1/credentials?all=true", "auditor"))["credentials"]
    assert {row["state"] for row in listed if row["id"] in (first["credential_id"], second["credential_id"])} == {
        "revoked"
    }
    again = exchange(api, second["access_token"], ACCESS_TOKEN, **actor)
    assert again.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "invalid_request"),
        ({"client_id": "spiffe://mesh.example/a"}, "invalid_client"),
        ({"subject_token_type": "urn:x"}, "invalid_request"),
        ({"subject_token": ""}, "invalid_request"),
        ({"subject_token": "forged.x"}, "invalid_grant"),
        ({"actor_token_type": ""}, "invalid_request"),
        ({"actor_token_type": ID_TOKEN}, "invalid_request"),
        ({"actor_token": "a.b.c"}, "invalid_grant"),
        ({"requested_token_type": ID_TOKEN}, "invalid_request"),
        ({"audience": ["nowhere"]}, "invalid_target"),
        ({"audience": ["*"]}, "invalid_target"),
        ({"agent": "executor"}, "access_denied"),
        ({"lifetime": "0"}, "invalid_request"),
        ({"surplus": "x"}, "invalid_request"),
        ({"run_id": ["a", "b"]}, "invalid_request"),
        ({"run_id": "x" * 201}, "invalid_request"),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_request_is_refused_as_oauth_says(
    api: Api, provider: OidcProvider, form: dict[str, Any], error: str
) -> None:
    response = for_ann(api, provider, **form)
    assert response.status_code in (400, 422) and response.headers["Content-Type"] == "application/json"
    assert response.json()["error"] == error and response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("change", [{"aud": "custody"}, {"iss": "x"}, {"exp": 1}, {"sub": "sa:other"}], ids=str)
def test_a_workload_that_does_not_prove_it_gets_nothing(
    api: Api, provider: OidcProvider, change: dict[str, Any]
) -> None:
    values = {"aud": WORKLOAD_AUDIENCE, "sub": "sa:planner"} | change
    forged = provider.sign(provider.claims(**values), "ec-1")
    response = for_ann(api, provider, actor_token=forged)
    assert response.status_code == 400 and "access_token" not in response.json()


def test_nobody_acts_for_who_is_not_granted(api: Api, provider: OidcProvider) -> None:
    provider.user |= {"email": "eve@evil.example", "groups": []}
    refused = for_ann(api, provider)
    assert refused.json()["error"] == "access_denied"
    context, events = api.recorded("token.exchange")[-1]
    assert context.principal == "eve@evil.example"
    assert (events[2].status, events[2].error[:13]) == ("400", "access_denied")


def test_the_exchange_is_recorded_and_no_token_is(api: Api, provider: OidcProvider) -> None:
    token, actor = provider.id_token(), workload(provider, "planner")
    form = {"actor_token": actor, "actor_token_type": JWT, "audience": ["demo-http"], "run_id": "run-8"}
    answer = document_of(exchange(api, token, ID_TOKEN, **form))
    requested = api.recorded("token.exchange")[-1][1][1]
    assert requested.attributes["run_id"] == "run-8" and requested.attributes["audience"] == '["demo-http"]'
    seen = repr(api.trail()) + api.log_text()
    assert not any(secret in seen for secret in (token, actor, answer["secret"], token.split(".")[2]))


def test_a_form_is_a_form(api: Api, provider: OidcProvider) -> None:
    assert api.ask("POST", "/token", json={}).status_code == 415
    flood = api.ask("POST", "/token", data={f"x{n}": "1" for n in range(500)})
    assert flood.status_code == 400 and flood.json()["error"] == "invalid_request"
    latin = api.ask("POST", "/token", content=b"a=\xff", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert latin.status_code == 400


def test_it_lasts_as_long_as_the_grant_says(api: Api, provider: OidcProvider) -> None:
    answer = document_of(for_ann(api, provider, lifetime="7000000"))
    assert answer["expires_in"] == 3600
    assert abs(answer["expires_at"] / 1_000_000 - time.time() - 3600) < 60


CEDAR = """@id("everything") permit (principal, action, resource);
@id("not-mail") @reason("mail is for people") forbid (principal, action == Action::"delegate", resource ==
Resource::"demo-http") when { context.agent == Agent::"planner" };"""


@pytest.fixture
def in_force(api: Api) -> Iterator[None]:
    document_of(api.ask("PUT", "/v1/policies/delegations", "policy-admin", json={"cedar": CEDAR}))
    yield
    document_of(api.ask("DELETE", "/v1/policies/delegations", "policy-admin"))


def test_policy_has_the_last_word(api: Api, provider: OidcProvider, in_force: None) -> None:
    refused = for_ann(api, provider, audience=["demo-http"])
    assert (refused.status_code, refused.json()["error"]) == (400, "access_denied")
    assert "on demo-http: mail is for people (not-mail)" in refused.json()["error_description"]
    all_of_it = document_of(for_ann(api, provider))
    assert all_of_it["audience"] == ["demo-postgres"]
    completed = api.recorded("token.exchange")[-1][1][2]
    assert completed.attributes["policy.ids"] == "everything" and completed.attributes["policy.version"]
    other = document_of(exchange(api, workload(provider, "executor"), JWT, audience=["demo-http"]))
    assert other["audience"] == ["demo-http"]


def test_operators_issue_what_policy_permits(api: Api, in_force: None) -> None:
    wanted = {"agent": "planner", "resources": ["demo-postgres"]}
    assert api.ask("POST", "/v1/credentials", "operator", json=wanted).status_code == 201
    for resources in (["demo-http"], ["*"]):
        refused = api.ask("POST", "/v1/credentials", "operator", json=wanted | {"resources": resources})
        assert refused.status_code == 403 and "not-mail" in refused.json()["detail"]
