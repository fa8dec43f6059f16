"""People who sign in at a provider, as callers of the API."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from console.api.caller import Caller
from console.api.problems import Problem
from console.api.sessions import AlreadyUsed, Session, Sessions, TooMany
from console.oidc.errors import TokenRefused
from console.oidc.people import Person, person_of, roles_of
from console.oidc.provider import Provider
from schemas.identity_config import Oidc
from schemas.runtime import now_us

log = logging.getLogger(__name__)

VIA: Final = "session"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a provider signed and was verified: whom it names, and until when it could be shown.

    `token` tells one proof from another, since each counts once. `session_ends_at_us` 0: the provider sets no end.
    """

    person: Person
    token: str
    ends_at_us: int
    session_ends_at_us: int = 0


class SignIns:
    """What comes of a proof, whichever kind of provider gave it. Thread-safe."""

    def __init__(self, roles: Mapping[str, Iterable[str]], session_ttl_s: int, sessions: Sessions) -> None:
        self._roles = roles
        self._session_ttl_s = session_ttl_s
        self._sessions = sessions

    def begin(self, proof: Proof) -> tuple[str, Session]:
        """A session for a proven person: its token and what is kept of it. Raises TokenRefused, Problem."""
        person, ttl_s = proof.person, self._session_ttl_s
        if proof.session_ends_at_us:
            ttl_s = min(ttl_s, (proof.session_ends_at_us - now_us()) // 1_000_000)
        try:
            return self._sessions.begin(person.principal, person.groups, ttl_s, proof.token, proof.ends_at_us)
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
        return roles_of(groups, self._roles)


class People(SignIns):
    """Sign-in at the OpenID provider."""

    def __init__(self, settings: Oidc, provider: Provider, sessions: Sessions) -> None:
        super().__init__(settings.roles, settings.session_ttl_s, sessions)
        self.settings = settings
        self.provider = provider

    def prove(self, id_token: str, nonce: str | None = None) -> Proof:
        """Verify an ID token. Raises TokenRefused, ProviderFailed."""
        claims = self.provider.verify_id_token(id_token, nonce)
        return Proof(person_of(claims, self.settings), id_token, _ends_at(claims, self.settings.max_skew_s))


def _ends_at(claims: Mapping[str, Any], skew_s: int) -> int:
    return int((float(claims["exp"]) + skew_s) * 1_000_000)
