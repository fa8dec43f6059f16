"""Workloads that prove with a JWT of a trusted issuer who they are."""

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from console.oidc.errors import ProviderFailed, TokenRefused, open_web
from console.oidc.keys import Keys
from console.oidc.people import check_principal
from console.oidc.provider import WELL_KNOWN
from console.oidc.tokens import Rules, read_header, verify
from schemas.identity_config import TrustedIssuer
from schemas.web import Web

MAX_CLAIM_CHARS: Final = 2000


@dataclass(frozen=True, slots=True)
class WorkloadIdentity:
    """Who a workload is: `issuer` is the name in the settings."""

    issuer: str
    subject: str
    claims: Mapping[str, Any] = field(repr=False)

    @property
    def principal(self) -> str:
        """When it acts for itself: `cluster:system:serviceaccount:agents:planner`."""
        return f"{self.issuer}:{self.subject}"


class Workloads:
    """The trusted issuers. Thread-safe; keys are fetched when a first token needs them."""

    def __init__(self, issuers: Iterable[TrustedIssuer], clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._trusted = {each.issuer: (each, _keys_of(each)) for each in issuers}

    def identify(self, token: str) -> WorkloadIdentity:
        """Who a token is of. Raises TokenRefused, ProviderFailed."""
        found = self._trusted.get(_claimed_issuer(token))
        if found is None:
            raise TokenRefused("its issuer is not trusted")
        settings, keys = found
        rules = Rules(settings.issuer, settings.audience, settings.algorithms, settings.max_skew_s, is_id_token=False)
        claims = verify(token, rules, keys.find, self._clock())
        identity = WorkloadIdentity(settings.name, str(claims["sub"]), claims)
        check_principal(identity.principal, "sub")
        return identity


def _claimed_issuer(token: str) -> str:
    """What the token says, to choose the keys by; nothing is believed before the signature holds."""
    read_header(token)
    body = token.split(".")[1]
    try:
        claims = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, RecursionError):
        raise TokenRefused("its claims cannot be read") from None
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    return issuer if isinstance(issuer, str) else ""


def _keys_of(settings: TrustedIssuer) -> Keys:
    web: list[Web] = []

    def fetch() -> Mapping[str, Any]:
        if not web:
            web.append(open_web(settings.ca_file))
        return web[0].get(settings.jwks_url or _discover(web[0], settings.issuer))

    return Keys(fetch)


def _discover(web: Web, issuer: str) -> str:
    document = web.get(issuer.rstrip("/") + WELL_KNOWN)
    url = document.get("jwks_uri")
    if document.get("issuer") != issuer or not isinstance(url, str):
        raise ProviderFailed("a trusted issuer calls itself another one, or names no keys")
    web.check_url(url)
    return url


def claim_at(claims: Mapping[str, Any], path: str) -> str | None:
    """A claim as text, None without one. Dots lead into objects; a claim of exactly that name comes first."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, int):
        return str(found)
    return found if isinstance(found, str) and len(found) <= MAX_CLAIM_CHARS else None
