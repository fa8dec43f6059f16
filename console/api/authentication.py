"""Who is behind a request: a bearer token that is a password of the home, or a session of somebody who signed in."""

from typing import Final

from starlette.requests import Request

from console.api.caller import Caller
from console.api.local_logins import LocalLogins
from console.api.people import SignIns
from console.api.problems import Problem

SESSION_COOKIE: Final = "custody_session"
REALM: Final = 'Bearer realm="custody"'
MAX_TOKEN_CHARS: Final = 4096


class Authentication:
    """Tries what is switched on."""

    def __init__(self, local: LocalLogins | None, people: SignIns | None = None) -> None:
        self._local = local
        self._people = people

    async def find(self, request: Request) -> Caller:
        """The caller. Raises Problem (401)."""
        token = bearer_of(request)
        cookie = request.cookies.get(SESSION_COOKIE, "") if not token else ""
        if cookie and not is_of_this_site(request):
            raise Problem(403, "forbidden", "another site made this request")
        caller = self._find(token or cookie)
        if caller is None:
            raise unauthorized("the login is not known, or is over" if token or cookie else "a login is needed")
        return caller

    def _find(self, token: str) -> Caller | None:
        if not token or len(token) > MAX_TOKEN_CHARS:
            return None
        found = self._people.find(token) if self._people is not None else None
        return found or (self._local.find(token) if self._local is not None else None)


def bearer_of(request: Request) -> str:
    """The bearer token of a request; "" for none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and len(token) <= MAX_TOKEN_CHARS else ""


def unauthorized(detail: str) -> Problem:
    """401."""
    return Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": REALM})


def is_of_this_site(request: Request) -> bool:
    """Whether a request that a cookie vouches for was made by this site, not by another that the browser shows.

    Reads may come from anywhere: their answers stay unreadable to other sites.
    """
    if request.method in ("GET", "HEAD"):
        return True
    origin = request.headers.get("origin", "")
    return bool(origin) and origin.partition("://")[2] == request.headers.get("host", "")
