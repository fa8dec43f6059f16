"""Errors as RFC 9457 problem documents. What is wrong with a request is said; what is wrong in here is only logged."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import Response

from console.store import QueryFailed
from schemas.config import faults_of
from schemas.errors import AuditUnavailable, ConfigError, CustodyError, Fault, Unreachable
from schemas.wire.log_filter import scrub

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:custody:problem:"
MAX_DETAIL_CHARS: Final = 4000


class ProblemDocument(BaseModel):
    """A problem: RFC 9457."""

    type: str = Field(description="urn:custody:problem:NAME, stable")
    title: str = Field(description="what kind of problem it is")
    status: int = Field(description="the HTTP status")
    detail: str = Field("", description="what is wrong with this request")
    faults: list[str] = Field(default_factory=list, description="every fault of what was sent, each with its path")


class Problem(Exception):
    """What a request ends with when it cannot be answered."""

    def __init__(
        self,
        status: int,
        name: str,
        detail: str = "",
        *,
        faults: list[str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {name}: {detail}")
        self.status, self.name, self.detail = status, name, detail
        self.faults = faults or []
        self.headers = dict(headers or {})

    def respond(self) -> Response:
        """The answer."""
        document = ProblemDocument(
            type=TYPE_PREFIX + self.name,
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail[:MAX_DETAIL_CHARS],
            faults=[fault[:MAX_DETAIL_CHARS] for fault in self.faults[:100]],
        )
        body = orjson.dumps(document.model_dump(exclude_defaults=True) | {"status": self.status})
        return Response(body, self.status, {"Cache-Control": "no-store", **self.headers}, MEDIA_TYPE)


def not_found(what: str) -> Problem:
    """404."""
    return Problem(404, "not-found", what)


def invalid(error: ValidationError, where: str) -> Problem:
    """422, with every fault and its path."""
    return Problem(422, "invalid", f"the {where} is not valid", faults=faults_of(error, where).splitlines())


def problem_of(error: Exception) -> Problem:
    """Any error as a problem. Only errors that name their own fault are quoted."""
    match error:
        case Problem():
            return error
        case AuditUnavailable():
            return Problem(503, "audit-unavailable", "the audit log does not answer, so nothing is done")
        case Unreachable():
            return Problem(503, "unreachable", scrub(str(error)), headers={"Retry-After": "5"})
        case ConfigError():
            lines = scrub(str(error)).splitlines() or [""]
            return Problem(400, "refused", lines[0], faults=lines if len(lines) > 1 else [])
        case QueryFailed():
            return Problem(400, "query-failed", scrub(str(error)))
        case CustodyError() if error.fault is Fault.CALLER:
            return Problem(400, "refused", scrub(str(error)))
        case _:
            log.error("a request failed: %s: %s", type(error).__name__, error)
            return Problem(500, "internal", "something went wrong; the log of the API says what")


def describe(status: int) -> dict[str, Any]:
    """A problem as a response of the OpenAPI document."""
    return {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
    }
