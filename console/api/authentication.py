"""Who is behind a request: a bearer token that is a password of the home, or a session of somebody who signed in."""

from typing import Final

from starlette.requests import Request

from console.api.local_logins import LocalLogins
from console.api.problems import Problem
from console.api.routing import Caller

REALM: Final = 'Bearer realm="custody"'
MAX_TOKEN_CHARS: Final = 4096


class Authentication:
    """Tries what is switched on."""

    def __init__(self, local: LocalLogins | None) -> None:
        self._local = local

    async def find(self, request: Request) -> Caller:
        """The caller. Raises Problem (401)."""
        token = bearer_of(request)
        caller = self._local.find(token) if token and self._local is not None else None
        if caller is None:
            raise unauthorized("a login is needed" if not token else "the login is not known, or is over")
        return caller


def bearer_of(request: Request) -> str:
    """The bearer token of a request; "" for none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and len(token) <= MAX_TOKEN_CHARS else ""


def unauthorized(detail: str) -> Problem:
    """401."""
    return Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": REALM})
