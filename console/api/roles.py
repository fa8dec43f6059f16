"""Roles, what each may do, and what nobody may do at once."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class Permission(StrEnum):
    """What a route asks for."""

    TRAIL_READ = "trail.read"
    TRAIL_ERASE = "trail.erase"
    APPROVAL_READ = "approval.read"
    APPROVAL_DECIDE = "approval.decide"
    QUARANTINE_READ = "quarantine.read"
    QUARANTINE_WRITE = "quarantine.write"
    RESOURCE_READ = "resource.read"
    RESOURCE_WRITE = "resource.write"
    CREDENTIAL_READ = "credential.read"
    CREDENTIAL_ISSUE = "credential.issue"
    CREDENTIAL_REVOKE = "credential.revoke"
    POLICY_READ = "policy.read"
    POLICY_WRITE = "policy.write"
    HEALTH_READ = "health.read"


_P = Permission

ROLES: Final[dict[str, frozenset[Permission]]] = {
    "auditor": frozenset(
        {
            _P.TRAIL_READ,
            _P.RESOURCE_READ,
            _P.CREDENTIAL_READ,
            _P.POLICY_READ,
            _P.QUARANTINE_READ,
            _P.HEALTH_READ,
        }
    ),
    "approver": frozenset(
        {
            _P.APPROVAL_READ,
            _P.APPROVAL_DECIDE,
            _P.QUARANTINE_READ,
            _P.QUARANTINE_WRITE,
            _P.RESOURCE_READ,
            _P.POLICY_READ,
            _P.HEALTH_READ,
        }
    ),
    "operator": frozenset(
        {
            _P.RESOURCE_READ,
            _P.RESOURCE_WRITE,
            _P.CREDENTIAL_READ,
            _P.CREDENTIAL_ISSUE,
            _P.CREDENTIAL_REVOKE,
            _P.QUARANTINE_READ,
            _P.QUARANTINE_WRITE,
            _P.HEALTH_READ,
        }
    ),
    "policy-admin": frozenset({_P.POLICY_READ, _P.POLICY_WRITE, _P.RESOURCE_READ, _P.HEALTH_READ}),
}
"""No role erases the trail: that is a command of the retention role, on the host."""

EXCLUSIVE: Final = ((_P.POLICY_WRITE, _P.TRAIL_ERASE),)
"""Whoever could do both could do something and leave no trace of having allowed it."""


def permissions_of(roles: Iterable[str]) -> frozenset[Permission]:
    """What these roles may do together. Of two permissions that exclude each other, neither is left."""
    found = frozenset().union(*(ROLES.get(role, frozenset()) for role in roles))
    return withhold_exclusive(found)


def withhold_exclusive(permissions: frozenset[Permission]) -> frozenset[Permission]:
    """The permissions without pairs that nobody may hold at once."""
    withheld = {each for pair in EXCLUSIVE if permissions.issuperset(pair) for each in pair}
    return permissions - withheld
