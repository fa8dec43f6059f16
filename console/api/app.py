"""The application: the table of routes over Starlette, and what HTTP itself can go wrong with."""

from collections.abc import Awaitable, Callable, Iterable

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as HttpRoute

from console.api.handling import HEADERS, Handling
from console.api.openapi import make_document
from console.api.problems import Problem, problem_of
from console.api.routing import Route

DOCUMENT_PATH = "/openapi.json"
NAMES = {404: "not-found", 405: "method-not-allowed"}


def make_app(routes: Iterable[Route], handling: Handling, others: Iterable[HttpRoute] = ()) -> Starlette:
    """The ASGI application. `others` are routes that answer browsers and not with models."""
    table = tuple(routes)
    document = orjson.dumps(make_document(table))

    async def openapi(request: Request) -> Response:
        return Response(document, headers=HEADERS, media_type="application/json")

    http_routes = [HttpRoute(route.path, _endpoint(route, handling), methods=[route.method]) for route in table]
    http_routes += [HttpRoute(DOCUMENT_PATH, openapi, methods=["GET"]), *others]
    return Starlette(routes=http_routes, exception_handlers={HTTPException: _http_error, Exception: _any_error})


def _endpoint(route: Route, handling: Handling) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await handling.answer(route, request)

    return endpoint


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return Problem(status, NAMES.get(status, "refused"), headers=headers).respond()


async def _any_error(request: Request, error: Exception) -> Response:
    return problem_of(error).respond()
