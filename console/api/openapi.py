"""The OpenAPI document, made from the table of routes and its models."""

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from console.api.problems import ProblemDocument, describe
from console.api.routing import FORM, Nothing, Route

OPENAPI: Final = "3.1.0"
REFERENCE: Final = "#/components/schemas/{model}"
PATH_PARAMETER: Final = {"type": "string", "minLength": 1, "maxLength": 200}


def make_document(routes: Iterable[Route]) -> dict[str, Any]:
    """The document as JSON data."""
    table = tuple(routes)
    references, definitions = _schemas(table)
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, references)
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "Custody",
            "version": version("custody"),
            "description": "Which agent did what, on whose behalf. Every request but health and whoami is an event "
            "of the record itself.",
        },
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "custody_session"},
            },
        },
    }


References = dict[tuple[type[BaseModel], JsonSchemaMode], dict[str, Any]]
"""Model and whether it is taken or given -> how its schema is named."""


def _schemas(routes: tuple[Route, ...]) -> tuple[References, dict[str, Any]]:
    taken: list[tuple[type[BaseModel], JsonSchemaMode]] = [(ProblemDocument, "serialization")]
    for route in routes:
        taken += [(route.body, "validation")] if route.body else []
        taken += [(route.answer, "serialization")] if route.answer else []
    found, schema = models_json_schema(list(dict.fromkeys(taken)), ref_template=REFERENCE)
    references = {(model, mode): found[model, mode] for model, mode in taken}
    return references, dict(schema.get("$defs", {}))


def _operation(route: Route, references: References) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": {str(route.status): _response(route, references), "default": _failure(route)},
        "security": [] if route.is_open else [{"bearer": []}, {"cookie": []}],
    }
    if route.permission is not None:
        operation["x-permission"] = route.permission.value
    if route.body is not None:
        schema = references[(route.body, "validation")]
        operation["requestBody"] = {"required": True, "content": {route.content_type: {"schema": schema}}}
    if route.content_type == FORM:
        return operation
    failures = () if route.is_open else (401, 403)
    for status in (*failures, *((404,) if "{" in route.path else ()), *((422,) if route.body else ())):
        operation["responses"][str(status)] = describe(status)
    return operation


def _response(route: Route, references: References) -> dict[str, Any]:
    if route.answer is None:
        return {"description": "done"}
    schema = references[(route.answer, "serialization")]
    return {"description": "answered", "content": {"application/json": {"schema": schema}}}


def _failure(route: Route) -> dict[str, Any]:
    if route.content_type != FORM:
        return describe(500)
    texts = {name: {"type": "string"} for name in ("error", "error_description")}
    schema = {"type": "object", "properties": texts, "required": ["error"]}
    return {"description": "RFC 6749, 5.2", "content": {"application/json": {"schema": schema}}}


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": PATH_PARAMETER} for name in names]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is Nothing:
        return []
    schema = route.query.model_json_schema()
    required = set(schema.get("required", ()))
    return [
        {"name": name, "in": "query", "required": name in required, "schema": each}
        for name, each in schema["properties"].items()
    ]
