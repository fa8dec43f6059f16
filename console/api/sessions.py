"""Who has signed in: random tokens, of which only digests are kept, in a file that survives a restart."""

import json
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from schemas.errors import ConfigError
from schemas.runtime import now_us, write_private

PREFIX: Final = "cst_"
"""Begins every token, so that scanners for leaked secrets can know them."""
MAX_SESSIONS: Final = 10_000
MAX_PER_PERSON: Final = 20
MAX_SEEN: Final = 20_000


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in, in µs since the epoch."""

    principal: str
    groups: tuple[str, ...]
    began_at: int
    expires_at: int


class Sessions:
    """All sign-ins. Thread-safe; saved before `begin` and `end` return."""

    def __init__(self, path: Path, clock: Callable[[], int] = now_us) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions, self._seen = _load(path)

    def begin(
        self, principal: str, groups: tuple[str, ...], ttl_s: int, proof: str, proof_ends_at: int
    ) -> tuple[str, Session]:
        """A new session's token. A proof (the ID token) counts once, until it has expired. Raises AlreadyUsed."""
        now = self._clock()
        digest = sha256(proof.encode()).hexdigest()
        token = PREFIX + secrets.token_urlsafe(32)
        session = Session(principal, groups, now, now + ttl_s * 1_000_000)
        with self._lock:
            self._forget(now)
            if digest in self._seen:
                raise AlreadyUsed
            if len(self._seen) >= MAX_SEEN or len(self._sessions) >= MAX_SESSIONS:
                raise TooMany
            self._seen[digest] = proof_ends_at
            self._make_room(principal)
            self._sessions[key_of(token)] = session
            self._save()
        return token, session

    def find(self, token: str) -> Session | None:
        """The session of a token, while it lasts."""
        session = self._sessions.get(key_of(token)) if token.startswith(PREFIX) else None
        return session if session is not None and session.expires_at > self._clock() else None

    def end(self, token: str) -> bool:
        """Sign out; False when it was over."""
        with self._lock:
            was_there = self._sessions.pop(key_of(token), None) is not None
            if was_there:
                self._save()
        return was_there

    def _make_room(self, principal: str) -> None:
        mine = sorted((each.began_at, key) for key, each in self._sessions.items() if each.principal == principal)
        for _, key in mine[: len(mine) - MAX_PER_PERSON + 1] if len(mine) >= MAX_PER_PERSON else []:
            del self._sessions[key]

    def _forget(self, now: int) -> None:
        self._sessions = {key: each for key, each in self._sessions.items() if each.expires_at > now}
        self._seen = {digest: until for digest, until in self._seen.items() if until > now}

    def _save(self) -> None:
        document = {"sessions": {key: asdict(each) for key, each in self._sessions.items()}, "seen": self._seen}
        write_private(self._path, json.dumps(document).encode())


class AlreadyUsed(Exception):  # an outcome: the sign-in is refused
    """This proof has begun a session before."""


class TooMany(Exception):  # an outcome: later
    """There is no room for another session."""


def key_of(token: str) -> str:
    """What is kept of a token; it has 256 random bits, so a plain digest tells nothing."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _load(path: Path) -> tuple[dict[str, Session], dict[str, int]]:
    if not path.exists():
        return {}, {}
    try:
        document = json.loads(path.read_bytes())
        sessions = {str(key): _session_from(each) for key, each in document["sessions"].items()}
        return sessions, {str(digest): int(until) for digest, until in document["seen"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ConfigError(f"{path.name} is not what the API wrote: look who changed it, then remove it") from None


def _session_from(entry: Mapping[str, Any]) -> Session:
    groups = tuple(str(group) for group in entry["groups"])
    return Session(str(entry["principal"]), groups, int(entry["began_at"]), int(entry["expires_at"]))
