"""Signing in with a browser: authorization code with PKCE, and a cookie that only this site can use."""

import asyncio
import logging
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route as HttpRoute

from console.api.authentication import SESSION_COOKIE
from console.api.handling import client_of, source_of
from console.api.people import People, Proof, SignIns
from console.api.problems import Problem, problem_of
from console.api.recording import Recorder
from console.api.sign_in import LASTS_S, Attempt, Attempts
from console.oidc.errors import TokenRefused
from console.oidc.provider import error_of

log = logging.getLogger(__name__)

ATTEMPT_COOKIE: Final = "custody_sign_in"
OPERATION: Final = "sign_in.browser"
CALLBACK: Final = "/callback"
MAX_PARAMETER_CHARS: Final = 4096


class Browser:
    """The two addresses a browser visits. `redirect_url`: the second of them, as the browser sees it."""

    def __init__(self, people: People, recorder: Recorder, redirect_url: str) -> None:
        self._people = people
        self._recorder = recorder
        self._redirect_url = redirect_url
        self._attempts = Attempts()
        self._is_secure = redirect_url.startswith("https:")

    def routes(self) -> list[HttpRoute]:
        """For the application."""
        return [
            HttpRoute("/login", self.login, methods=["GET"]),
            HttpRoute(CALLBACK, self.callback, methods=["GET"]),
        ]

    async def login(self, request: Request) -> Response:
        """Send the browser to the provider."""
        attempt = self._attempts.begin(request.query_params.get("next", "/"), is_secure=self._is_secure)
        try:
            url = await asyncio.to_thread(
                self._people.provider.authorize_url,
                self._redirect_url,
                attempt.state,
                attempt.nonce,
                attempt.challenge,
            )
        except Exception as error:
            return problem_of(error).respond()
        response = RedirectResponse(url, 302, {"Cache-Control": "no-store"})
        set_cookie(response, ATTEMPT_COOKIE, attempt.browser, int(LASTS_S), CALLBACK, is_secure=attempt.is_secure)
        return response

    async def callback(self, request: Request) -> Response:
        """What the provider says. Every end of it, good or bad, is recorded."""
        try:
            proof, attempt = await asyncio.to_thread(self._prove, request)
        except Exception as error:
            problem = refusal(error)
            self._recorder.refuse_unknown(
                source_of(request), client_of(request), OPERATION, f"GET {CALLBACK}", problem.name
            )
            return problem.respond()
        try:
            response = await begin_session(self._people, self._recorder, request, proof, attempt, OPERATION)
        except Exception as error:
            return refusal(error).respond()
        response.delete_cookie(ATTEMPT_COOKIE, path=CALLBACK)
        return response

    def _prove(self, request: Request) -> tuple[Proof, Attempt]:
        given = {name: request.query_params.getlist(name) for name in ("code", "state", "iss", "error")}
        if any(len(values) > 1 or len("".join(values)) > MAX_PARAMETER_CHARS for values in given.values()):
            raise TokenRefused("the provider's answer has a parameter twice, or too long")
        code, state, issuer, error = ("".join(given[name]) for name in ("code", "state", "iss", "error"))
        attempt = self._attempts.end(state, request.cookies.get(ATTEMPT_COOKIE, ""))
        if issuer and issuer != self._people.settings.issuer:  # RFC 9207: an answer of another provider
            raise TokenRefused("the answer is of another issuer")
        if error or not code:
            raise TokenRefused(f"the provider says {error_of({'error': error or 'nothing'})}")
        provider = self._people.provider
        token = provider.exchange_code(code, self._redirect_url, attempt.verifier)
        return self._people.prove(token, attempt.nonce), attempt


async def begin_session(
    people: SignIns, recorder: Recorder, request: Request, proof: Proof, attempt: Attempt, operation: str
) -> Response:
    """The session of who proved to be somebody, on the record and in a cookie, and the way back to where they were."""
    person = proof.person
    session = recorder.open(person.principal, source_of(request), client_of(request))
    roles = ",".join(people.roles_of(person.groups))
    statement = f"{request.method} {request.url.path}"
    await recorder.request(session, operation, statement, {"roles": roles, "via": "browser"})
    status = 500
    try:
        token, begun = await asyncio.to_thread(people.begin, proof)
        status = 302
    except Exception as error:
        status = refusal(error).status
        raise
    finally:
        await recorder.finish(session, operation, status, 0, 0)
    response = RedirectResponse(attempt.goes_to, 302, {"Cache-Control": "no-store"})
    lasts_s = (begun.expires_at - begun.began_at) // 1_000_000
    set_cookie(response, SESSION_COOKIE, token, lasts_s, "/", is_secure=attempt.is_secure)
    return response


def set_cookie(response: Response, name: str, value: str, lasts_s: int, path: str, *, is_secure: bool) -> None:
    """A cookie that no script reads and no other site sends along but by leading here."""
    response.set_cookie(name, value, max_age=lasts_s, path=path, secure=is_secure, httponly=True, samesite="lax")


def refusal(error: Exception) -> Problem:
    """Any error as what a browser is told."""
    if isinstance(error, TokenRefused):
        return Problem(401, "unauthorized", f"you are not signed in: {error}")
    return problem_of(error)
