"""Signing a command in by a browser that is signed in already, where the provider has no device flow (RFC 8628).

The command shows a code. The person enters it on our page, in the browser in which they signed in, and the command then
gets a session of its own: of the same person, for no longer than the browser's.
"""

import asyncio
import html
import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route as HttpRoute

from console.api.authentication import SESSION_COOKIE, is_of_this_site
from console.api.browser import refusal
from console.api.caller import Caller
from console.api.handling import HEADERS, client_of, read_bounded, read_form, source_of
from console.api.people import Proof, SignIns
from console.api.problems import Problem
from console.api.recording import Recorder
from console.api.routing import FORM
from console.oidc.errors import TokenRefused
from console.oidc.people import Person
from schemas.runtime import now_us

PAGE: Final = "/device"
START: Final = "/v1/sign-in/device"
CLAIM: Final = "/v1/sign-in/device/token"
OPERATION: Final = "sign_in.device"
LASTS_S: Final = 600.0
INTERVAL_S: Final = 2
MAX_WAITING: Final = 200
MAX_BODY_BYTES: Final = 4096
MAX_GUESSES: Final = 10
"""Wrong codes of one person within the time a code lasts."""
LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so no words; 20 to the 8th are 34 bits (RFC 8628, 6.1)."""
PENDING: Final = "authorization_pending"


@dataclass(slots=True)
class Asking:
    """A command that waits. `caller`: the person who agreed, as their browser proved."""

    device_code: str
    user_code: str
    source: str
    began_at: float
    caller: Caller | None = None


class Devices:
    """The commands that wait, by what only they know. The oldest give way. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, Asking] = OrderedDict()
        self._guesses: dict[str, list[float]] = {}

    def begin(self, source: str) -> Asking:
        """A new one, from this address."""
        letters = [secrets.choice(LETTERS) for _ in range(8)]
        code = "".join(letters[:4]) + "-" + "".join(letters[4:])
        asking = Asking(secrets.token_urlsafe(32), code, source, self._clock())
        with self._lock:
            while len(self._waiting) >= MAX_WAITING:
                self._waiting.popitem(last=False)
            self._waiting[asking.device_code] = asking
        return asking

    def agree(self, user_code: str, caller: Caller) -> Asking:
        """Let who waits with this code have a session of this person. Raises TokenRefused."""
        wanted = "".join(letter for letter in user_code.upper() if letter.isalnum())
        with self._lock:
            now = self._clock()
            guesses = [at for at in self._guesses.get(caller.principal, []) if now - at < LASTS_S]
            if len(guesses) >= MAX_GUESSES:
                raise TokenRefused("too many wrong codes: wait ten minutes")
            for asking in self._waiting.values():
                is_it = asking.user_code.replace("-", "") == wanted
                if is_it and asking.caller is None and now - asking.began_at <= LASTS_S:
                    asking.caller = caller
                    self._guesses.pop(caller.principal, None)
                    return asking
            self._guesses = {name: found for name, found in self._guesses.items() if now - found[-1] < LASTS_S}
            self._guesses[caller.principal] = [*guesses, now]
        raise TokenRefused("no command waits with this code: look at it again, or begin anew")

    def claim(self, device_code: str) -> Caller | None:
        """Who agreed, once; None while nobody has. Raises TokenRefused for one that does not wait, or no longer."""
        with self._lock:
            asking = self._waiting.get(device_code)
            if asking is None or self._clock() - asking.began_at > LASTS_S:
                self._waiting.pop(device_code, None)
                raise TokenRefused("this sign-in is not under way, or took too long: begin again")
            if asking.caller is not None:
                del self._waiting[device_code]
            return asking.caller


class DevicePages:
    """What the command asks, and the page that the person visits. `base_url`: of the API, as browsers reach it."""

    def __init__(self, people: SignIns, recorder: Recorder, base_url: str) -> None:
        self._people = people
        self._recorder = recorder
        self._base_url = base_url
        self._devices = Devices()

    def routes(self) -> list[HttpRoute]:
        """For the application."""
        return [
            HttpRoute(START, self.start, methods=["POST"]),
            HttpRoute(CLAIM, self.claim, methods=["POST"]),
            HttpRoute(PAGE, self.show, methods=["GET"]),
            HttpRoute(PAGE, self.agree, methods=["POST"]),
        ]

    async def start(self, request: Request) -> Response:
        """A code for the command and one for the person."""
        await read_bounded(request, MAX_BODY_BYTES)
        asking = self._devices.begin(source_of(request)[0])
        found = {
            "device_code": asking.device_code,
            "user_code": asking.user_code,
            "verification_uri": self._base_url + PAGE,
            "expires_in": int(LASTS_S),
            "interval": INTERVAL_S,
        }
        return JSONResponse(found, headers=HEADERS)

    async def claim(self, request: Request) -> Response:
        """The session, once the person has agreed."""
        try:
            document = json.loads(await read_bounded(request, MAX_BODY_BYTES))
            code = document.get("device_code") if isinstance(document, dict) else None
            if not isinstance(code, str):
                raise ValueError
        except (ValueError, RecursionError):
            return Problem(400, "refused", "the content must be JSON with a device_code").respond()
        try:
            caller = self._devices.claim(code)
            if caller is None:
                return Problem(400, PENDING, "nobody has agreed yet").respond()
            return await self._begin(request, code, caller)
        except Exception as error:
            return self._refuse(request, error)

    async def _begin(self, request: Request, code: str, agreed: Caller) -> Response:
        """A session like the browser's, if that still is one."""
        caller = self._people.find(agreed.token)
        if caller is None:
            raise TokenRefused("the browser's session is over")
        session = self._recorder.open(caller.principal, source_of(request), client_of(request))
        facts = {"roles": ",".join(caller.roles), "via": "device"}
        await self._recorder.request(session, OPERATION, f"POST {CLAIM}", facts)
        person = Person(caller.principal, caller.groups, caller.principal)
        status = 500
        try:
            proof = Proof(person, f"device {code}", now_us() + int(LASTS_S * 1_000_000), caller.expires_at)
            token, begun = await asyncio.to_thread(self._people.begin, proof)
            status = 201
        except Exception as error:
            status = refusal(error).status
            raise
        finally:
            await self._recorder.finish(session, OPERATION, status, 0, 0)
        found = {
            "token": token,
            "principal": begun.principal,
            "groups": list(begun.groups),
            "roles": sorted(caller.roles),
            "expires_at": begun.expires_at,
        }
        return JSONResponse(found, 201, headers=HEADERS)

    async def show(self, request: Request) -> Response:
        """The page; who is not signed in does that first."""
        caller = self._people.find(request.cookies.get(SESSION_COOKIE, ""))
        if caller is None:
            return RedirectResponse(f"/login?next={quote(PAGE)}", 302, {"Cache-Control": "no-store"})
        return page(
            "Sign a command in",
            f"<p>You are signed in as <b>{html.escape(caller.principal)}</b>. <code>custody login</code> shows a code. "
            "Enter it only if you ran that command yourself: it will act in your name.</p>"
            f'<form method="post" action="{PAGE}"><input name="user_code" maxlength="20" autofocus autocomplete="off" '
            'required aria-label="code"> <button>Sign it in</button></form>',
        )

    async def agree(self, request: Request) -> Response:
        """The person's answer."""
        try:
            if not is_of_this_site(request):
                raise Problem(403, "forbidden", "another site made this request")
            caller = self._people.find(request.cookies.get(SESSION_COOKIE, ""))
            if caller is None:
                raise TokenRefused("sign in first, at /login")
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
                raise Problem(415, "unsupported", f"the content must be {FORM}")
            form = read_form(await read_bounded(request, MAX_BODY_BYTES), ())
            asking = self._devices.agree(form.get("user_code", ""), caller)
        except Exception as error:
            return self._refuse(request, error)
        where = html.escape(asking.source)
        return page("Signed in", f"<p>The command at {where} goes on in your name. You can close this page.</p>")

    def _refuse(self, request: Request, error: Exception) -> Response:
        problem = refusal(error)
        what = f"{request.method} {request.url.path}"
        self._recorder.refuse_unknown(source_of(request), client_of(request), OPERATION, what, problem.name)
        return problem.respond()


def page(title: str, content: str, form_action: str = "'self'") -> Response:
    """A page without scripts that no other site may show in a frame. `form_action`: where its form may lead."""
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title} - Custody</title>'
    text = f"{head}<h1>{title}</h1>{content}"
    policy = f"default-src 'none'; form-action {form_action}; frame-ancestors 'none'; base-uri 'none'"
    return HTMLResponse(text, headers={**HEADERS, "Content-Security-Policy": policy, "Referrer-Policy": "same-origin"})
