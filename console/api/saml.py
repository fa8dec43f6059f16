"""Signing in with a browser at a SAML provider: request by redirect, response by a form that the browser posts.

The form comes from the provider's site, so the browser keeps its cookie back. What the response proves therefore waits
under a ticket for the moment in which the browser, sent on to our own page, shows the cookie of who began.
"""

import asyncio
import binascii
import logging
import secrets
import threading
import time
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route as HttpRoute

from console.api.browser import begin_session, refusal, set_cookie
from console.api.handling import client_of, read_bounded, read_form, source_of
from console.api.people import Proof, SignIns
from console.api.problems import Problem
from console.api.recording import Recorder
from console.api.routing import FORM
from console.api.sign_in import LASTS_S, Attempt, Attempts, check_browser
from console.oidc.errors import TokenRefused
from console.saml.provider import SamlProvider
from console.saml.xml import MAX_BYTES

log = logging.getLogger(__name__)

COOKIE: Final = "custody_saml"
OPERATION: Final = "sign_in.saml"
ACS: Final = "/saml/acs"
DONE: Final = "/saml/done"
MAX_FORM_BYTES: Final = MAX_BYTES * 2
"""Base64 and the form's own escapes make a response larger."""
WAITS_S: Final = 60.0
MAX_WAITING: Final = 200


class Waiting:
    """What responses proved, until their browser comes. Each once; the oldest give way. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, Proof, Attempt]] = OrderedDict()

    def put(self, proof: Proof, attempt: Attempt) -> str:
        """A ticket for it."""
        ticket = secrets.token_urlsafe(32)
        with self._lock:
            while len(self._kept) >= MAX_WAITING:
                self._kept.popitem(last=False)
            self._kept[ticket] = (self._clock(), proof, attempt)
        return ticket

    def take(self, ticket: str) -> tuple[Proof, Attempt]:
        """Raises TokenRefused."""
        with self._lock:
            found = self._kept.pop(ticket, None)
        if found is None or self._clock() - found[0] > WAITS_S:
            raise TokenRefused("this sign-in is not under way, or took too long: begin again")
        return found[1], found[2]


class SamlBrowser:
    """The addresses that a browser and the provider visit."""

    def __init__(self, people: SignIns, provider: SamlProvider, recorder: Recorder) -> None:
        self._people = people
        self._provider = provider
        self._recorder = recorder
        self._attempts = Attempts()
        self._waiting = Waiting()
        self._is_secure = provider.acs_url.startswith("https:")

    def routes(self) -> list[HttpRoute]:
        """For the application."""
        return [
            HttpRoute("/login", self.login, methods=["GET"]),
            HttpRoute("/saml/login", self.login, methods=["GET"]),
            HttpRoute(ACS, self.consume, methods=["POST"]),
            HttpRoute(DONE, self.finish, methods=["GET"]),
            HttpRoute("/saml/metadata", self.metadata, methods=["GET"]),
        ]

    async def login(self, request: Request) -> Response:
        """Send the browser to the provider."""
        attempt = self._attempts.begin(request.query_params.get("next", "/"), is_secure=self._is_secure)
        url = self._provider.request_url(_request_id(attempt), attempt.state)
        response = RedirectResponse(url, 302, {"Cache-Control": "no-store"})
        set_cookie(response, COOKIE, attempt.browser, int(LASTS_S), DONE, is_secure=self._is_secure)
        return response

    async def consume(self, request: Request) -> Response:
        """The provider's response, which the browser posts. A refused one is on the record."""
        try:
            raw = await read_bounded(request, MAX_FORM_BYTES)
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != FORM:
                raise Problem(415, "unsupported", f"the content must be {FORM}")
            ticket = await asyncio.to_thread(self._prove, raw)
        except Exception as error:
            return self._refuse(request, error)
        return RedirectResponse(f"{DONE}?ticket={ticket}", 303, {"Cache-Control": "no-store"})

    async def finish(self, request: Request) -> Response:
        """The session, for the browser that began the sign-in."""
        try:
            proof, attempt = self._waiting.take(request.query_params.get("ticket", ""))
            check_browser(attempt, request.cookies.get(COOKIE, ""))
        except Exception as error:
            return self._refuse(request, error)
        try:
            response = await begin_session(self._people, self._recorder, request, proof, attempt, OPERATION)
        except Exception as error:
            return refusal(error).respond()
        response.delete_cookie(COOKIE, path=DONE)
        return response

    async def metadata(self, request: Request) -> Response:
        """Our description for the provider."""
        return Response(self._provider.metadata(), media_type="application/samlmetadata+xml")

    def _prove(self, raw: bytes) -> str:
        form = read_form(raw, ())
        if set(form) - {"SAMLResponse", "RelayState"}:
            raise TokenRefused("the provider's form has other fields than SAMLResponse and RelayState")
        attempt = self._attempts.take(form.get("RelayState", ""))
        try:
            response = b64decode("".join(form.get("SAMLResponse", "").split()), validate=True)
        except (binascii.Error, ValueError):
            raise TokenRefused("the response is not in base64") from None
        found = self._provider.read(response, _request_id(attempt))
        session_ends_at = int(found.session_ends_at.timestamp() * 1_000_000) if found.session_ends_at else 0
        ends_at = int(found.ends_at.timestamp() * 1_000_000)
        token = f"{self._provider.settings.idp_entity_id} {found.id}"
        return self._waiting.put(Proof(found.person, token, ends_at, session_ends_at), attempt)

    def _refuse(self, request: Request, error: Exception) -> Response:
        problem = refusal(error)
        what = f"{request.method} {request.url.path}"
        self._recorder.refuse_unknown(source_of(request), client_of(request), OPERATION, what, problem.name)
        return problem.respond()


def _request_id(attempt: Attempt) -> str:
    """An ID as XML wants it: not beginning with a digit."""
    return f"_{attempt.nonce}"
