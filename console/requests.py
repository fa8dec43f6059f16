"""What somebody asks for and somebody else must approve, each by their own sign-in: kept in the home until then."""

import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from schemas.errors import ConfigError
from schemas.holds import require_two
from schemas.runtime import Home, now_us, write_private

FOLDER: Final = "requests"
LIFETIME_US: Final = 7 * 86_400_000_000
MAX_WAITING: Final = 1000
_ID: Final = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Request:
    """`what`: hold, release or erase; `values`: its own arguments, as JSON data; `at` in µs since the epoch."""

    id: str
    what: str
    by: str
    at: int
    values: dict[str, Any]


def keep_request(home: Home, what: str, by: str, values: dict[str, Any]) -> Request:
    """Keep what somebody asks for. Raises ConfigError when too many wait."""
    if len(list_requests(home)) >= MAX_WAITING:
        raise ConfigError(f"{MAX_WAITING} requests wait already")
    request = Request(secrets.token_hex(4), what, by, now_us(), values)
    write_private(_path(home, request.id), json.dumps(asdict(request)).encode())
    return request


def list_requests(home: Home) -> list[Request]:
    """What waits, the oldest first; what is older than a week is gone. Raises ConfigError."""
    found = []
    for path in sorted((home.root / FOLDER).glob("*.json")):
        request = _read(path)
        if now_us() - request.at > LIFETIME_US:
            path.unlink(missing_ok=True)
        else:
            found.append(request)
    return sorted(found, key=lambda request: request.at)


def find_request(home: Home, id: str, *kinds: str) -> Request:
    """One that waits. Raises ConfigError."""
    found = [each for each in list_requests(home) if each.id == id and each.what in kinds]
    if not found:
        raise ConfigError(f"no request {id!r} waits; it may be over, or more than a week old")
    return found[0]


@contextmanager
def approve_request(home: Home, request: Request, approver: str) -> Iterator[None]:
    """Carry it out within: it is approved once. When that fails it waits again. Raises ConfigError."""
    try:
        require_two(request.by, approver)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    path = _path(home, request.id)
    taken = path.with_suffix(f".taken.{os.getpid()}")
    try:
        path.rename(taken)  # of two who approve at once one finds it
    except FileNotFoundError:
        raise ConfigError(f"request {request.id} is over") from None
    if _read(taken) != request:
        taken.rename(path)
        raise ConfigError(f"request {request.id} has changed: look at it again")
    try:
        yield
    except BaseException:
        taken.rename(path)
        raise
    taken.unlink()


def drop_request(home: Home, request: Request) -> None:
    """It is not wanted any more."""
    _path(home, request.id).unlink(missing_ok=True)


def _path(home: Home, id: str) -> Path:
    if not _ID.fullmatch(id):
        raise ConfigError(f"{id!r} is no id of a request")
    return home.root / FOLDER / f"{id}.json"


def _read(path: Path) -> Request:
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{FOLDER}/{path.name} must have mode 0600")
        document = json.loads(path.read_bytes())
        request = Request(**document)
        if not (isinstance(request.at, int) and isinstance(request.values, dict) and isinstance(request.by, str)):
            raise TypeError
        return request
    except (OSError, ValueError, TypeError):
        raise ConfigError(f"{FOLDER}/{path.name} cannot be read: remove it, and ask again") from None
