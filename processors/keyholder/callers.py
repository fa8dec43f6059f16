"""Who asks the key holder: the program by its secret, the person by the socket or, for the API, by its word."""

import hmac
import pwd
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.runtime import Home

CONSOLE: Final = "console"
API: Final = "api"
CALLERS: Final = (CONSOLE, API)
"""Programs that may ask. The API has checked its person's login; the command's person is who runs it."""

PRINCIPAL_HEADER: Final = "X-Custody-Principal"
MAX_PRINCIPAL_CHARS: Final = 200
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: struct ucred of unix(7)


class Unknown(Exception):  # an outcome: the caller is refused
    """Nobody that may ask. `peer` is the user at the other end of the socket."""

    def __init__(self, peer: str) -> None:
        super().__init__("unknown caller")
        self.peer = peer


@dataclass(frozen=True, slots=True)
class Caller:
    """`program` asks for `principal`."""

    program: str
    principal: str

    @property
    def key(self) -> str:
        """What limits are counted by."""
        return f"{self.program}:{self.principal}"


def read_callers(home: Home) -> dict[str, str]:
    """Program -> its secret. Raises ConfigError."""
    return {name: home.read_secret(f"keyholder/{name}.password") for name in CALLERS}


def identify(headers: Mapping[str, str], secrets: Mapping[str, str], peer: str) -> Caller:
    """The caller of a request. Raises Unknown."""
    scheme, _, given = headers.get("Authorization", "").partition(" ")
    found = [name for name, secret in secrets.items() if hmac.compare_digest(secret.encode(), given.encode())]
    if scheme.lower() != "bearer" or not found:
        raise Unknown(peer)
    if found[0] != API:
        return Caller(found[0], peer)
    principal = headers.get(PRINCIPAL_HEADER, "")
    if not principal or len(principal) > MAX_PRINCIPAL_CHARS or not principal.isprintable():
        raise Unknown(peer)
    return Caller(API, principal)


def peer_of(connection: socket.socket) -> str:
    """`user@local` of the process at the other end, as the kernel says."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    uid = _CREDENTIALS.unpack(raw)[1]
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return f"{name}@local"
