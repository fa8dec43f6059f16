"""One request after another: who asks, may they, what exactly, recorded, answered, recorded."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from console.api.caller import Caller
from console.api.client_certificates import CLIENT_CHAIN
from console.api.problems import Problem, invalid, problem_of
from console.api.recording import Recorder
from console.api.routing import FORM, JSON, Answer, Call, Prove, Route, Services

log = logging.getLogger(__name__)

BODY_TIMEOUT_S: Final = 30.0
MAX_OPEN_BODY_BYTES: Final = 65_536
"""Of content that is read before anybody has logged in."""
MAX_QUERY_BYTES: Final = 16_384
MAX_STATEMENT_CHARS: Final = 100_000
THREADS: Final = 16
MAX_FIELDS: Final = 200
MAX_DESCRIPTION_CHARS: Final = 2000
OAUTH_CODES: Final = frozenset(
    {"invalid_request", "invalid_client", "invalid_grant", "invalid_target", "unsupported_grant_type", "access_denied"}
)
OAUTH_BY_STATUS: Final = {503: "temporarily_unavailable", 500: "server_error"}
HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
NOBODY: Final = Caller("", via="open")


class Authenticator(Protocol):
    """Who is behind a request."""

    async def find(self, request: Request) -> Caller:
        """The caller. Raises Problem (401)."""


class Handling:
    """Answers requests by their routes."""

    def __init__(self, services: Services, authenticator: Authenticator, recorder: Recorder) -> None:
        self.services = services
        self._authenticator = authenticator
        self._recorder = recorder
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="api")

    def close(self) -> None:
        """Take no more work."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def answer(self, route: Route, request: Request) -> Response:
        """One request; every error becomes a problem document."""
        try:
            return await self._answer(route, request)
        except Exception as error:
            problem = problem_of(error)
            return respond_as_oauth(problem) if route.content_type == FORM else problem.respond()

    async def _answer(self, route: Route, request: Request) -> Response:
        caller = await self._identify(route, request)
        query, body = _read_query(route, request), await self._read_body(route, request)
        call = Call(caller, request.path_params, query, body, request.scope.get(CLIENT_CHAIN, ()))
        if route.prove is not None:
            caller = await self._prove(route.prove, route.operation, call, request)
            call = replace(call, caller=caller)
        if not route.is_recorded:
            return _respond(route, await self._run(route, call))
        session = self._recorder.open(caller.principal, source_of(request), client_of(request))
        await self._recorder.request(session, route.operation, _statement(route, call, request), _facts(route, call))
        started, status, rows, error = time.monotonic(), 500, 0, ""
        facts: Mapping[str, str] = {}
        try:
            found = await self._run(route, call)
            status, rows, facts = route.status, found.rows, found.facts
        except Exception as failure:
            problem = problem_of(failure)
            status, error = problem.status, f"{problem.name}: {problem.detail}"
            raise
        finally:
            lasted = int((time.monotonic() - started) * 1_000_000)
            await self._recorder.finish(session, route.operation, status, rows, lasted, error, facts)
        return _respond(route, found)

    async def _identify(self, route: Route, request: Request) -> Caller:
        if route.is_open:
            return NOBODY
        what = f"{request.method} {request.url.path}"[:500]
        source, client = source_of(request), client_of(request)
        try:
            caller = await self._authenticator.find(request)
        except Problem as problem:
            self._recorder.refuse_unknown(source, client, route.operation, what, problem.name)
            raise
        if route.permission is not None and not caller.may(route.permission):
            session = self._recorder.open(caller.principal, source, client)
            await self._recorder.refuse(session, route.operation, what, "forbidden")
            raise Problem(403, "forbidden", f"{route.operation} needs the permission {route.permission.value}")
        return caller

    async def _prove(self, prove: Prove, operation: str, call: Call, request: Request) -> Caller:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, prove, self.services, call)
        except Exception as error:
            name, what = problem_of(error).name, f"{request.method} {request.url.path}"
            self._recorder.refuse_unknown(source_of(request), client_of(request), operation, what, name)
            raise

    async def _run(self, route: Route, call: Call) -> Answer:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, route.handler, self.services, call)

    async def _read_body(self, route: Route, request: Request) -> BaseModel | None:
        limit = MAX_OPEN_BODY_BYTES if route.is_open else self.services.place.settings.api.max_body_bytes
        raw = await read_bounded(request, limit)
        if route.body is None:
            if raw:
                raise Problem(400, "refused", "this request takes no content")
            return None
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != route.content_type:
            raise Problem(415, "unsupported", f"the content must be {route.content_type}")
        try:
            if route.content_type == FORM:
                return route.body.model_validate(read_form(raw, route.form_lists))
            return route.body.model_validate_json(raw)
        except ValidationError as error:
            raise invalid(error, "content") from None


async def read_bounded(request: Request, limit: int) -> bytes:
    """A request's content. Raises Problem when it is larger than `limit` bytes or does not come in time."""
    pieces: list[bytes] = []
    total = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for piece in request.stream():
                total += len(piece)
                if total > limit:
                    raise Problem(413, "too-large", f"the content is larger than {limit} bytes")
                pieces.append(piece)
    except TimeoutError:
        raise Problem(408, "timeout", "the content did not come in time") from None
    except ClientDisconnect:
        raise Problem(400, "refused", "the content ended early") from None
    return b"".join(pieces)


def read_form(raw: bytes, lists: Iterable[str]) -> dict[str, Any]:
    """A form's parameters: texts, and lists of texts for those in `lists`. Raises Problem for one that stands twice."""
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise Problem(400, "invalid_request", "the content is no form, or has too many fields") from None
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in lists:
            found.setdefault(name, []).append(value)
        elif name in found:
            raise Problem(400, "invalid_request", "a parameter stands twice")
        else:
            found[name] = value
    return found


def respond_as_oauth(problem: Problem) -> Response:
    """A problem in the form of RFC 6749, 5.2."""
    code = problem.name if problem.name in OAUTH_CODES else OAUTH_BY_STATUS.get(problem.status, "invalid_request")
    faults = "; ".join(problem.faults)
    body = orjson.dumps(
        {"error": code, "error_description": f"{problem.detail}{': ' if faults else ''}{faults}"[:2000]}
    )
    return Response(body, problem.status, {**HEADERS, **problem.headers}, JSON)


def source_of(request: Request) -> tuple[str, int]:
    """Address and port of the other end."""
    return (request.client.host, request.client.port) if request.client else ("", 0)


def client_of(request: Request) -> str:
    """What the client calls itself."""
    return request.headers.get("user-agent", "")


def _read_query(route: Route, request: Request) -> BaseModel:
    if len(request.url.query) > MAX_QUERY_BYTES:
        raise Problem(414, "too-large", "the query string is too long")
    pairs = request.query_params.multi_items()
    values = dict(pairs)
    if len(values) < len(pairs):
        raise Problem(400, "refused", "a parameter stands twice in the query string")
    try:
        return route.query.model_validate_strings(values)
    except ValidationError as error:
        raise invalid(error, "query") from None


def _statement(route: Route, call: Call, request: Request) -> str:
    if route.statement_field:
        return str(getattr(call.body, route.statement_field))[:MAX_STATEMENT_CHARS]
    return f"{request.method} {request.url.path}"[:MAX_STATEMENT_CHARS]


def _facts(route: Route, call: Call) -> Mapping[str, Any]:
    """What was asked beyond method and path: parameters that are not at their defaults, and chosen fields."""
    facts: dict[str, Any] = call.query.model_dump(mode="json", exclude_defaults=True)
    if call.body is not None and route.recorded_fields:
        body = call.body.model_dump(mode="json")
        facts |= {name: body[name] for name in route.recorded_fields if body.get(name)}
    shown = {name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in facts.items()}
    return shown | {"roles": ",".join(call.caller.roles), "via": call.caller.via}


def _respond(route: Route, found: Answer) -> Response:
    if found.document is None:
        return Response(status_code=route.status, headers=HEADERS)
    body = orjson.dumps(found.document.model_dump(mode="json"))
    return Response(body, route.status, HEADERS, JSON)
