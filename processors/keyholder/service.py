"""`POST /v1/trace`: a value in, its tokens out, never a key. No record, no answer.

The value is held for as long as the request lasts, in this process's memory, and goes nowhere else: not to the log, not
into an error, not into the record, which holds its token.
"""

import asyncio
import base64
import binascii
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from masking.forms import MAX_VALUE_BYTES, forms_of
from masking.tokens import TokenRing
from processors.keyholder.callers import Caller, Unknown, identify, peer_of
from processors.keyholder.limits import Limiter
from schemas.errors import AuditUnavailable
from schemas.events import EventKind, Masked, Verdict
from schemas.runtime import now_us
from schemas.wire.trail import Refusals, Trail, TrailSession

log = logging.getLogger(__name__)

PATH: Final = "/v1/trace"
MAX_BODY_BYTES: Final = 65_536
MAX_REASON_CHARS: Final = 500
OPERATION: Final = "trace"
LABEL: Final = "traced"
"""Label of the asked value's tokens in the record."""
REFUSALS_PER_MINUTE: Final = 30
"""Refusals recorded one by one; beyond it they are counted, and the next one recorded says how many."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `value` is never shown."""

    forms: list[bytes]
    reason: str

    def __repr__(self) -> str:
        return "Question(…)"


class BadQuestion(Exception):  # an outcome: 400
    """The message says what is wrong with the request, and never quotes it."""


class Service:
    """Answers over HTTP. `secrets` maps each program that may ask to its secret."""

    def __init__(self, tokens: TokenRing, limiter: Limiter, trail: Trail, secrets: Mapping[str, str]) -> None:
        self._tokens = tokens
        self._limiter = limiter
        self._trail = trail
        self._secrets = secrets
        self._refusals = Refusals(REFUSALS_PER_MINUTE)

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post(PATH, self.trace)
        return app

    async def trace(self, request: web.Request) -> web.Response:
        """One request."""
        peer = _peer_of(request)
        try:
            caller = identify(request.headers, self._secrets, peer)
        except Unknown as unknown:
            return await self._refuse(Caller("unknown", unknown.peer), "unknown_caller", 401)
        try:
            question = parse_question(await request.read())
        except web.HTTPRequestEntityTooLarge:
            return _answer(413, error="the request is too large")
        except BadQuestion as error:
            return _answer(400, error=str(error))
        now = now_us()
        wait_us = await asyncio.to_thread(self._limiter.take, caller.key, now)
        if wait_us:
            return await self._refuse(caller, "rate_limited", 429, wait_s=math.ceil(wait_us / 1_000_000))
        try:
            return await self._respond(caller, question, now)
        except AuditUnavailable as error:
            log.error("a trace was not answered: %s", error)
            return _answer(503, error="the audit log does not answer, so nothing is traced")

    async def _respond(self, caller: Caller, question: Question, now: int) -> web.Response:
        """Request durable, then the tokens are made, then the outcome durable, then they go out."""
        session = self._open(caller)
        keyed = [Masked(LABEL, 1, self._tokens.token(form), "value") for form in question.forms]
        session.record(
            EventKind.ACTION_REQUESTED,
            action_id=session.action_id,
            statement=OPERATION,
            operation=OPERATION,
            verdict=Verdict.ALLOW.value,
            attributes={"reason": question.reason} if question.reason else {},
            masked=keyed,
        )
        try:
            await session.wait()
            tokens = [token for form in question.forms for token in self._tokens.tokens(form)]
            self._finish(session, "answered", Verdict.ALLOW, rows=len(tokens))
            await session.wait()
        except AuditUnavailable:
            if not session.is_closed:
                self._finish(session, "unanswered", Verdict.DENY)
            raise
        left = self._limiter.left(caller.key, now)
        return _answer(200, tokens=list(dict.fromkeys(tokens)), session_id=session.id, left_today=left)

    async def _refuse(self, caller: Caller, status: str, code: int, wait_s: int = 0) -> web.Response:
        log.warning("a trace of %s was refused: %s", caller.program, status)
        self._refusals.record(lambda before: self._record_refusal(caller, status, before))
        headers = {"Retry-After": str(wait_s)} if wait_s else {}
        return _answer(code, headers, error=status.replace("_", " "), retry_after_s=wait_s)

    def _record_refusal(self, caller: Caller, status: str, attributes: dict[str, str]) -> None:
        session = self._open(caller)
        for kind in (EventKind.ACTION_REQUESTED, EventKind.ACTION_DECIDED):
            session.record(
                kind,
                action_id=session.action_id,
                statement=OPERATION,
                operation=OPERATION,
                verdict=Verdict.DENY.value,
                attributes=attributes,
            )
        self._finish(session, status, Verdict.DENY)

    def _open(self, caller: Caller) -> TrailSession:
        return self._trail.open(f"custody-{caller.program}", principal=caller.principal, client="trace")

    def _finish(self, session: TrailSession, status: str, verdict: Verdict, rows: int = 0) -> None:
        session.record(
            EventKind.ACTION_COMPLETED,
            action_id=session.action_id,
            operation=OPERATION,
            verdict=verdict.value,
            status=status,
            rows=rows,
        )
        session.close(status, actions=1)


def parse_question(body: bytes) -> Question:
    """`{"value": text}` or `{"value_base64": …}`, and perhaps a `reason`. Raises BadQuestion."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise BadQuestion("the body is not JSON") from None
    if not isinstance(document, dict) or document.keys() - {"value", "value_base64", "reason"}:
        raise BadQuestion("the body is an object of value or value_base64, and perhaps reason")
    reason = document.get("reason", "")
    if not isinstance(reason, str) or len(reason) > MAX_REASON_CHARS:
        raise BadQuestion(f"reason is a text of at most {MAX_REASON_CHARS} characters")
    value = _value_of(document)
    try:
        forms = forms_of(value)
    except ValueError:
        raise BadQuestion(f"the value has 1 to {MAX_VALUE_BYTES} bytes") from None
    said = reason.encode("utf-8", "replace").lower()
    if any(form.lower() in said for form in forms):
        raise BadQuestion("reason must not hold the value: it is recorded")
    return Question(forms, reason)


def _value_of(document: dict[str, Any]) -> bytes:
    if ("value" in document) == ("value_base64" in document):
        raise BadQuestion("give either value or value_base64")
    (given,) = (document[name] for name in ("value", "value_base64") if name in document)
    if not isinstance(given, str):
        raise BadQuestion("the value is a text")
    try:
        if "value" in document:
            return given.encode("utf-8", "surrogatepass")
        return base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        raise BadQuestion("value_base64 is not base64") from None


def _peer_of(request: web.Request) -> str:
    transport = request.transport
    connection = transport.get_extra_info("socket") if transport is not None else None
    if connection is None:
        raise web.HTTPBadRequest(text="the connection is gone")
    return peer_of(connection)


def _answer(status: int, headers: Mapping[str, str] | None = None, **document: Any) -> web.Response:
    return web.json_response(document, status=status, headers=headers)
