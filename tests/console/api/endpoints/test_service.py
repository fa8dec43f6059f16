from console.api.roles import ROLES
from tests.support.api import Api, document_of


def test_who_am_i(api: Api) -> None:
    found = document_of(api.ask("GET", "/v1/whoami", "auditor"))
    assert (found["principal"], found["roles"], found["via"]) == ("auditor@local", ["auditor"], "local")
    assert found["permissions"] == sorted(ROLES["auditor"])


def test_it_is_alive_for_anybody(api: Api) -> None:
    assert document_of(api.ask("GET", "/healthz")) == {"status": "ok"}


def test_health_names_the_parts(api: Api) -> None:
    parts = {part["name"]: part for part in document_of(api.ask("GET", "/v1/health", "operator"))["parts"]}
    assert parts["api"]["health"] == "up" and parts["api"]["is_ready"]
    assert parts["proxy-tcp"]["health"] == "down"
