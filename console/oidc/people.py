"""From the claims of a token to a person: a principal, groups, roles."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from console.oidc.errors import TokenRefused
from schemas.identity_config import LOCAL, Oidc

MAX_PRINCIPAL_CHARS: Final = 200
MAX_GROUPS: Final = 200
GROUP: Final = re.compile(r"[^,\x00-\x1f\x7f]{1,200}")
"""As schemas/resources.py takes them: the record keeps groups in one text, with commas between."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who signed in."""

    principal: str
    groups: tuple[str, ...]
    subject: str


def person_of(claims: Mapping[str, Any], settings: Oidc) -> Person:
    """Who verified claims speak of. Raises TokenRefused."""
    principal = claims.get(settings.principal_claim)
    if settings.principal_claim == "email" and claims.get("email_verified") is not True:
        raise TokenRefused("the provider has not verified the email address")
    check_principal(principal, settings.principal_claim)
    return Person(str(principal), groups_of(claims, settings.groups_claim), str(claims["sub"]))


def check_principal(principal: object, claim: str) -> None:
    """Raises TokenRefused unless it can stand in the record as somebody's name."""
    if not isinstance(principal, str) or not 0 < len(principal) <= MAX_PRINCIPAL_CHARS:
        raise TokenRefused(f"its claim {claim} names nobody")
    if not principal.isprintable() or principal != principal.strip():
        raise TokenRefused(f"its claim {claim} is not a name")
    if principal.lower().endswith(LOCAL):
        raise TokenRefused(f"its claim {claim} is the name of somebody on this host")


def groups_of(claims: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """The groups at a dotted path; a claim of exactly that name comes first. What is no group's name is left out."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        found = [found]
    if not isinstance(found, list):
        return ()
    names = dict.fromkeys(name for name in found if isinstance(name, str) and GROUP.fullmatch(name))
    return tuple(names)[:MAX_GROUPS]


def roles_of(groups: Iterable[str], roles: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """The roles that groups give; `roles` says which groups have each."""
    mine = set(groups)
    return tuple(role for role, needed in roles.items() if mine & set(needed))
