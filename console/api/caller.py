"""Who asks."""

from dataclasses import dataclass, field
from typing import Any

from console.api.roles import Permission, permissions_of


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as was proven: `via` is local (a password of the home), session (signed in), or what was shown."""

    principal: str
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    via: str = "local"
    token: str = field(default="", repr=False)
    expires_at: int = 0
    proof: Any = field(default=None, repr=False)
    """Of a route that proves who asks by its content: what it found."""

    def may(self, permission: Permission) -> bool:
        """Whether one of the roles allows it."""
        return permission in permissions_of(self.roles)
