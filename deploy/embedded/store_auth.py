"""The store's logins: one password file a role, compared in constant time. There is no default user."""

import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy.embedded.store_errors import QueryError, StoreError, unauthenticated
from deploy.embedded.store_roles import Role
from schemas.runtime import Home


@dataclass(frozen=True, slots=True)
class Login:
    """A user name and password as a client sent them."""

    user: str
    password: str = field(repr=False)


def read_passwords(home: Home) -> dict[Role, bytes]:
    """Every role's password. Raises ConfigError, or StoreError on an empty one."""
    passwords = {role: home.read_secret(f"store/{role}.password").encode() for role in Role}
    empty = [role for role, password in passwords.items() if not password]
    if empty:
        raise StoreError(f"secrets/store/{empty[0]}.password is empty")
    return passwords


def find_login(headers: Mapping[str, str], params: Mapping[str, str]) -> Login | None:
    """The login of a request: Authorization, then X-ClickHouse-User and -Key, then user and password parameters."""
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    if scheme:
        return _basic_login(scheme, value)
    if "X-ClickHouse-User" in headers:
        return Login(headers["X-ClickHouse-User"], headers.get("X-ClickHouse-Key", ""))
    if "user" in params:
        return Login(params["user"], params.get("password", ""))
    return None


def _basic_login(scheme: str, value: str) -> Login:
    if scheme.lower() != "basic":
        return Login("", "")
    try:
        user, _, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return Login("", "")
    return Login(user, password)


def authenticate(login: Login | None, passwords: Mapping[Role, bytes]) -> Role:
    """The role of a login. Raises QueryError (516 or 194), the same for a wrong user and a wrong password."""
    if login is None:
        raise QueryError(194, "REQUIRED_PASSWORD", "Authentication is required: there is no default user")
    known = login.user in list(Role)
    expected = passwords[Role(login.user)] if known else secrets.token_bytes(32)
    if not hmac.compare_digest(expected, login.password.encode("utf-8", "surrogateescape")) or not known:
        raise unauthenticated(login.user)
    return Role(login.user)
