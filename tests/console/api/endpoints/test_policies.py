from tests.support.api import Api, document_of

CEDAR = 'permit (principal, action == Action::"read", resource);'


def test_put_get_remove_and_the_version_moves(api: Api) -> None:
    before = document_of(api.ask("GET", "/v1/policies", "policy-admin"))["version"]
    put = document_of(api.ask("PUT", "/v1/policies/api-reads", "policy-admin", json={"cedar": CEDAR}))
    assert put["changes"] == [{"kind": "policy", "id": "api-reads", "action": "added"}]
    found = document_of(api.ask("GET", "/v1/policies", "auditor"))
    assert found["version"] not in ("", before)
    assert document_of(api.ask("GET", "/v1/policies/api-reads", "auditor"))["cedar"] == CEDAR
    removed = document_of(api.ask("DELETE", "/v1/policies/api-reads", "policy-admin"))
    assert removed["changes"][0]["action"] == "removed"
    assert api.ask("GET", "/v1/policies/api-reads", "auditor").status_code == 404
    assert api.ask("DELETE", "/v1/policies/api-reads", "policy-admin").status_code == 404


def test_a_wrong_policy_is_not_put(api: Api) -> None:
    response = api.ask("PUT", "/v1/policies/api-wrong", "policy-admin", json={"cedar": "permit (principal"})
    assert response.status_code == 400
    assert api.ask("GET", "/v1/policies/api-wrong", "policy-admin").status_code == 404


def test_a_check_names_the_faults_and_writes_nothing(api: Api) -> None:
    wrong = 'permit (principal, action == Action::"fly", resource == Resource::"nowhere");'
    faults = document_of(api.ask("POST", "/v1/policies/check", "policy-admin", json={"cedar": wrong}))["faults"]
    assert faults and faults[0]["line"] == 1
    fine = document_of(api.ask("POST", "/v1/policies/check", "policy-admin", json={"cedar": CEDAR}))["faults"]
    assert fine == []


def test_a_name_is_a_name(api: Api) -> None:
    response = api.ask("PUT", "/v1/policies/UPPER", "policy-admin", json={"cedar": CEDAR})
    assert response.status_code == 400
