from tests.support.api import Api, document_of

WHO = {"kind": "agent", "name": "api wild/1"}


def entries(api: Api, name: str) -> list[dict[str, object]]:
    found = document_of(api.ask("GET", "/v1/quarantine", "auditor"))["quarantined"]
    return [each for each in found if each["name"] == name]


def test_stop_list_let_go(api: Api) -> None:
    placed = api.ask("POST", "/v1/quarantine", "operator", json={**WHO, "reason": "it ran wild"})
    assert placed.status_code == 201
    (entry,) = entries(api, "api wild/1")
    assert entry == document_of(placed)
    assert (entry["kind"], entry["reason"], entry["by"]) == ("agent", "it ran wild", "operator@local")
    assert api.ask("DELETE", "/v1/quarantine", "approver", params=WHO).status_code == 204
    assert entries(api, "api wild/1") == []
    assert api.ask("DELETE", "/v1/quarantine", "approver", params=WHO).status_code == 404


def test_who_stopped_whom_is_on_the_record(api: Api) -> None:
    api.ask("POST", "/v1/quarantine", "approver", json={**WHO, "reason": "again"})
    api.ask("DELETE", "/v1/quarantine", "operator", params=WHO)
    context, events = api.recorded("quarantine.add")[-1]
    assert context.principal == "approver@local"
    facts = events[1].attributes
    assert (facts["kind"], facts["name"], facts["reason"]) == ("agent", "api wild/1", "again")
    context, events = api.recorded("quarantine.lift")[-1]
    assert (context.principal, events[1].attributes["name"]) == ("operator@local", "api wild/1")


def test_nobody_lets_themselves_go(api: Api) -> None:
    who = {"kind": "principal", "name": "operator@local"}
    api.ask("POST", "/v1/quarantine", "approver", json={**who, "reason": "account taken over"})
    for spelt in ("operator@local", "Operator@Local"):
        refused = api.ask("DELETE", "/v1/quarantine", "operator", params=who | {"name": spelt})
        assert refused.status_code == 403 and "their own" in refused.json()["detail"]
    assert api.ask("DELETE", "/v1/quarantine", "approver", params=who).status_code == 204


def test_bad_input(api: Api) -> None:
    for body in (
        {},
        {**WHO},
        {**WHO, "reason": ""},
        {**WHO, "reason": "x" * 2000},
        {**WHO, "kind": "resource", "reason": "x"},
        {**WHO, "name": "", "reason": "x"},
        {**WHO, "reason": "x", "by": "somebody"},
    ):
        assert api.ask("POST", "/v1/quarantine", "operator", json=body).status_code == 422
    assert api.ask("DELETE", "/v1/quarantine", "operator").status_code == 422
