"""People who sign in at the OpenID provider, as callers of the API."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from console.api.problems import Problem
from console.api.routing import Caller
from console.api.sessions import AlreadyUsed, Session, Sessions, TooMany
from console.oidc.errors import TokenRefused
from console.oidc.people import Person, person_of, roles_of
from console.oidc.provider import Provider
from schemas.identity_config import Oidc

log = logging.getLogger(__name__)

VIA: Final = "session"


@dataclass(frozen=True, slots=True)
class Proof:
    """An ID token that was verified: whom it names, and until when it could be shown."""

    person: Person
    token: str
    ends_at_us: int


class People:
    """Sign-in and what comes of it. Thread-safe."""

    def __init__(self, settings: Oidc, provider: Provider, sessions: Sessions) -> None:
        self.settings = settings
        self.provider = provider
        self._sessions = sessions

    def prove(self, id_token: str, nonce: str | None = None) -> Proof:
        """Verify an ID token. Raises TokenRefused, ProviderFailed."""
        claims = self.provider.verify_id_token(id_token, nonce)
        return Proof(person_of(claims, self.settings), id_token, _ends_at(claims, self.settings.max_skew_s))

    def begin(self, proof: Proof) -> tuple[str, Session]:
        """A session for a proven person: its token and what is kept of it. Raises TokenRefused, Problem."""
        person = proof.person
        try:
            return self._sessions.begin(
                person.principal, person.groups, self.settings.session_ttl_s, proof.token, proof.ends_at_us
            )
        except AlreadyUsed:
            raise TokenRefused("it has begun a session before") from None
        except TooMany:
            raise Problem(503, "too-many", "too many are signed in", headers={"Retry-After": "60"}) from None

    def find(self, token: str) -> Caller | None:
        """Whose session a token is, with the roles that the settings give to their groups now."""
        session = self._sessions.find(token)
        if session is None:
            return None
        roles = self.roles_of(session.groups)
        return Caller(session.principal, roles, session.groups, VIA, token, session.expires_at)

    def end(self, token: str) -> bool:
        """Sign out."""
        return self._sessions.end(token)

    def roles_of(self, groups: tuple[str, ...]) -> tuple[str, ...]:
        """The roles that these groups have."""
        return roles_of(groups, self.settings.roles)


def _ends_at(claims: Mapping[str, Any], skew_s: int) -> int:
    return int((float(claims["exp"]) + skew_s) * 1_000_000)
