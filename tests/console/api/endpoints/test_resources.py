from tests.support.api import Api, document_of

RESOURCE = {"name": "api-db", "protocol": "postgres", "listen": 0, "upstream": {"host": "db", "port": 5432}}


def test_put_get_list_remove(api: Api) -> None:
    put = api.ask("PUT", "/v1/resources/api-db", "operator", json=RESOURCE)
    assert document_of(put)["changes"] == [{"kind": "resource", "id": "api-db", "action": "added"}]
    assert document_of(api.ask("PUT", "/v1/resources/api-db", "operator", json=RESOURCE))["changes"] == []
    found = document_of(api.ask("GET", "/v1/resources/api-db", "auditor"))
    assert found["upstream"]["host"] == "db" and found["record"] == "complete"
    assert "api-db" in [row["name"] for row in document_of(api.ask("GET", "/v1/resources", "auditor"))["resources"]]
    removed = document_of(api.ask("DELETE", "/v1/resources/api-db", "operator"))
    assert removed["changes"][0]["action"] == "removed"
    assert api.ask("GET", "/v1/resources/api-db", "auditor").status_code == 404
    assert api.ask("DELETE", "/v1/resources/api-db", "operator").status_code == 404


def test_faults_are_named_all_at_once(api: Api) -> None:
    wrong = RESOURCE | {"protocol": "telnet", "listen": 99_999, "upstream": {"host": ""}}
    response = api.ask("PUT", "/v1/resources/api-db", "operator", json=wrong)
    assert response.status_code == 422
    assert len(response.json()["faults"]) == 4


def test_the_name_in_the_path_counts(api: Api) -> None:
    assert api.ask("PUT", "/v1/resources/other", "operator", json=RESOURCE).status_code == 400


def test_a_port_is_given_once(api: Api) -> None:
    taken = document_of(api.ask("GET", "/v1/resources/demo-http", "operator"))["listen"]
    response = api.ask("PUT", "/v1/resources/api-db", "operator", json=RESOURCE | {"listen": taken})
    assert response.status_code == 400 and "both listen" in response.json()["detail"]
