from schemas.wire.mint import mint_secret
from tests.support.api import Api, document_of

WANTED = {"agent": "planner", "resources": ["demo-postgres"], "run_id": "run-9", "ttl": "10m", "agent_version": "1.2"}


def test_issue_list_revoke(api: Api) -> None:
    response = api.ask("POST", "/v1/credentials", "operator", json=WANTED)
    assert response.status_code == 201
    issued = document_of(response)
    assert issued["secret"] == mint_secret(api.home.read_key("mint.key"), issued["id"], issued["expires_at"])
    assert issued["bearer"] == f"{issued['id']}.{issued['secret']}"
    listed = document_of(api.ask("GET", "/v1/credentials", "auditor"))["credentials"]
    (entry,) = [row for row in listed if row["id"] == issued["id"]]
    assert (entry["principal"], entry["agent_version"], entry["state"]) == ("operator@local", "1.2", "valid")
    assert issued["secret"] not in repr(listed)
    revoked = document_of(api.ask("DELETE", f"/v1/credentials/{issued['id']}?reason=lost", "operator"))
    assert revoked == {"id": issued["id"], "is_new": True}
    assert document_of(api.ask("DELETE", f"/v1/credentials/{issued['id']}", "operator"))["is_new"] is False
    again = document_of(api.ask("GET", "/v1/credentials?all=true", "auditor"))["credentials"]
    assert [row["state"] for row in again if row["id"] == issued["id"]] == ["revoked"]


def test_what_was_asked_is_recorded_and_the_secret_is_not(api: Api) -> None:
    issued = document_of(api.ask("POST", "/v1/credentials", "operator", json=WANTED))
    requested = api.recorded("credentials.issue")[-1][1][1]
    assert requested.attributes["resources"] == '["demo-postgres"]'
    assert requested.attributes["run_id"] == "run-9"
    assert issued["secret"] not in repr(api.trail()) + api.log_text()


def test_a_resource_must_be_there(api: Api) -> None:
    response = api.ask("POST", "/v1/credentials", "operator", json=WANTED | {"resources": ["nowhere"]})
    assert response.status_code == 422 and "nowhere" in response.json()["detail"]


def test_it_does_not_live_for_ever(api: Api) -> None:
    response = api.ask("POST", "/v1/credentials", "operator", json=WANTED | {"ttl": "91d"})
    assert response.status_code == 400 and "90 days" in response.json()["detail"]


def test_an_unknown_credential_cannot_be_revoked(api: Api) -> None:
    assert api.ask("DELETE", "/v1/credentials/nobody-1", "operator").status_code == 404
