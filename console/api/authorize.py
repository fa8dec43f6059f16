"""`/authorize`: a person lets an MCP client act in their name on one resource (OAuth 2.1 authorization code with PKCE).

The client is an agent of the grants that no workload proves, and its name there is its `client_id`. It gets its code on
the person's own host only, so no client has to be registered, and none has a secret.
"""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route as HttpRoute

from console import control
from console.api.authentication import SESSION_COOKIE, is_of_this_site
from console.api.browser import refusal
from console.api.caller import Caller
from console.api.codes import CHALLENGE, Agreed, is_own_redirect
from console.api.device import page
from console.api.handling import HEADERS, client_of, read_bounded, read_form, source_of
from console.api.problems import Problem
from console.api.recording import Recorder
from console.api.resource_urls import find_resource
from console.api.routing import FORM, JSON, Services
from console.exchange import GRANT_TYPE
from console.oidc.errors import TokenRefused
from schemas.oauth_metadata import AUTHORIZATION_SERVER

PATH: Final = "/authorize"
OPERATION: Final = "authorize"
MAX_FORM_BYTES: Final = 16_384
MAX_STATE_CHARS: Final = 1000
PARAMETERS: Final = (
    "response_type", "client_id", "redirect_uri", "code_challenge", "code_challenge_method", "resource", "state",
    "scope",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks a person for. `name`: the resource."""

    client_id: str
    redirect_uri: str
    challenge: str
    name: str
    state: str

    def back(self, issuer: str, **facts: str) -> str:
        """Where the browser goes with the answer (RFC 9207 names the issuer)."""
        query = urlencode({**facts, "iss": issuer} | ({"state": self.state} if self.state else {}))
        return f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{query}"


class AuthorizationPages:
    """The server's description and the page. `issuer`: the API as clients and browsers reach it."""

    def __init__(self, services: Services, recorder: Recorder, issuer: str) -> None:
        self._services = services
        self._recorder = recorder
        self._issuer = issuer
        self._metadata = orjson.dumps(describe(issuer, can_people=services.people is not None))

    def routes(self) -> list[HttpRoute]:
        """For the application."""
        described = HttpRoute(AUTHORIZATION_SERVER, self.metadata, methods=["GET"])
        if self._services.people is None:
            return [described]
        return [
            described,
            HttpRoute(PATH, self.show, methods=["GET"]),
            HttpRoute(PATH, self.agree, methods=["POST"]),
        ]

    async def metadata(self, request: Request) -> Response:
        """RFC 8414."""
        return Response(self._metadata, headers=HEADERS, media_type=JSON)

    async def show(self, request: Request) -> Response:
        """The question to the person; who is not signed in does that first."""
        pairs = request.query_params.multi_items()
        try:
            if len({name for name, _ in pairs}) < len(pairs):
                raise Problem(400, "refused", "a parameter stands twice")
            wish = self._read(dict(pairs))
        except Exception as error:
            return refusal(error).respond()
        caller = self._find(request)
        if caller is None:
            back = quote(f"{PATH}?{urlencode(dict(pairs))}", safe="")
            return RedirectResponse(f"/login?next={back}", 302, {"Cache-Control": "no-store"})
        hidden = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(value)}">' for name, value in pairs
            if name in PARAMETERS
        )  # fmt: skip
        return page(
            "Let an agent act for you",
            f"<p>You are signed in as <b>{html.escape(caller.principal)}</b>. The agent "
            f"<b>{html.escape(wish.client_id)}</b> wants to act in your name on <b>{html.escape(wish.name)}</b>. "
            f"It gets its answer at <code>{html.escape(wish.redirect_uri)}</code>.</p>"
            f'<form method="post" action="{PATH}">{hidden}<button name="answer" value="allow">Allow</button> '
            '<button name="answer" value="deny">Deny</button></form>',
            form_action=f"'self' {wish.redirect_uri.partition('?')[0]}",
        )

    async def agree(self, request: Request) -> Response:
        """The person's answer, on the record."""
        try:
            if not is_of_this_site(request):
                raise Problem(403, "forbidden", "another site made this request")
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
                raise Problem(415, "unsupported", f"the content must be {FORM}")
            caller = self._find(request)
            if caller is None:
                raise TokenRefused("sign in first, at /login")
            form = read_form(await read_bounded(request, MAX_FORM_BYTES), ())
            is_allowed = form.pop("answer", "") == "allow"
            wish = self._read(form)
        except Exception as error:
            problem, what = refusal(error), f"{request.method} {PATH}"
            self._recorder.refuse_unknown(source_of(request), client_of(request), OPERATION, what, problem.name)
            return problem.respond()
        session = self._recorder.open(caller.principal, source_of(request), client_of(request))
        facts = {"agent": wish.client_id, "resource": wish.name, "answer": "allow" if is_allowed else "deny"}
        await self._recorder.request(session, OPERATION, f"POST {PATH}", facts)
        await self._recorder.finish(session, OPERATION, 302, 0, 0)
        if is_allowed:
            agreed = Agreed(wish.client_id, wish.redirect_uri, wish.challenge, wish.name, caller.token)
            goes_to = wish.back(self._issuer, code=self._services.codes.put(agreed))
        else:
            goes_to = wish.back(self._issuer, error="access_denied")
        return RedirectResponse(goes_to, 302, {"Cache-Control": "no-store"})

    def _find(self, request: Request) -> Caller | None:
        people = self._services.people
        return people.find(request.cookies.get(SESSION_COOKIE, "")) if people is not None else None

    def _read(self, given: Mapping[str, str]) -> Wish:
        """Raises Problem: nothing is sent to an address before client, address and resource are known."""
        client_id, redirect_uri = given.get("client_id", ""), given.get("redirect_uri", "")
        grants = self._services.place.settings.identity.grants
        if not any(grant.agent == client_id and grant.workload is None for grant in grants):
            raise Problem(400, "invalid_client", "client_id is no agent that people may start (identity.grants)")
        if not is_own_redirect(redirect_uri):
            raise Problem(400, "invalid_request", "redirect_uri must be http on a loopback address")
        if given.get("response_type") != "code" or given.get("code_challenge_method") != "S256":
            raise Problem(400, "invalid_request", "only code with the challenge method S256 is served")
        if CHALLENGE.fullmatch(given.get("code_challenge", "")) is None:
            raise Problem(400, "invalid_request", "code_challenge is no SHA-256 in base64url")
        if len(given.get("state", "")) > MAX_STATE_CHARS:
            raise Problem(400, "invalid_request", "state is too long")
        place = self._services.place
        name = find_resource(given.get("resource", ""), control.resources_of(self._services.view), place)
        return Wish(client_id, redirect_uri, given["code_challenge"], name, given.get("state", ""))


def describe(issuer: str, *, can_people: bool) -> dict[str, object]:
    """What RFC 8414 says of this server."""
    described: dict[str, object] = {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/token",
        "grant_types_supported": ["client_credentials", GRANT_TYPE],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none", "tls_client_auth"],
    }
    if can_people:
        described |= {
            "authorization_endpoint": f"{issuer}{PATH}",
            "grant_types_supported": ["authorization_code", "client_credentials", GRANT_TYPE],
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
    return described
