"""The logins of a home's own roles: one password a role, in secrets/api/, for a stack where nobody signs in yet."""

import hmac
from typing import Final

from console.api.caller import Caller
from console.api.roles import ROLES
from schemas.errors import ConfigError
from schemas.runtime import Home

PRINCIPAL: Final = "{role}@local"


class LocalLogins:
    """The passwords are read once, at start."""

    def __init__(self, home: Home) -> None:
        self._passwords = {role: _read(home, role) for role in ROLES}

    def find(self, secret: str) -> Caller | None:
        """Whose password this is. Compares with each, in constant time."""
        given = secret.encode("utf-8", "surrogatepass")
        found = [role for role, known in self._passwords.items() if known and hmac.compare_digest(known, given)]
        return Caller(PRINCIPAL.format(role=found[0]), (found[0],)) if found else None


def _read(home: Home, role: str) -> bytes:
    """ "" when there is none: that role has no local login."""
    if not (home.secrets / f"api/{role}.password").exists():
        return b""
    password = home.read_secret(f"api/{role}.password")
    if len(password) < 16:
        raise ConfigError(f"secrets/api/{role}.password is shorter than 16 characters")
    return password.encode()
