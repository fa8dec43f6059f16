"""The document is valid OpenAPI, names every route, and what the API answers fits it."""

import json
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from console.api.openapi import make_document
from console.api.routes import ROUTES
from tests.console.conftest import Run
from tests.support.api import Api, document_of


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return json.loads(json.dumps(make_document(ROUTES)))


def test_it_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def test_every_route_is_in_it_with_its_permission(document: dict[str, Any]) -> None:
    for route in ROUTES:
        operation = document["paths"][route.path][route.method.lower()]
        assert operation["operationId"] == route.operation
        assert operation.get("x-permission") == (route.permission.value if route.permission else None)
        assert bool(operation["security"]) != route.is_open


def test_the_api_serves_it_to_anybody(api: Api, document: dict[str, Any]) -> None:
    assert document_of(api.ask("GET", "/openapi.json")) == document


def test_the_command_prints_it(custody: Run, document: dict[str, Any]) -> None:
    answer = custody("api", "--openapi")
    assert answer.code == 0 and json.loads(answer.out) == document


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("/v1/sessions", "auditor"),
        ("/v1/sessions/s1/events", "auditor"),
        ("/v1/events", "auditor"),
        ("/v1/detections", "auditor"),
        ("/v1/resources", "operator"),
        ("/v1/resources/demo-postgres", "operator"),
        ("/v1/credentials", "operator"),
        ("/v1/policies", "policy-admin"),
        ("/v1/approvals", "approver"),
        ("/v1/quarantine", "approver"),
        ("/v1/health", "approver"),
        ("/v1/whoami", "approver"),
        ("/healthz", ""),
    ],
)
def test_answers_fit_their_schema(api: Api, document: dict[str, Any], path: str, role: str) -> None:
    template = path.replace("/s1/", "/{id}/").replace("demo-postgres", "{name}")
    schema = document["paths"][template]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    whole = schema | {"components": document["components"]}
    jsonschema.Draft202012Validator(whole).validate(document_of(api.ask("GET", path, role)))
