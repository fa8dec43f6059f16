"""Keys by reference, and rings of them: the key in use and the older ones that what was made before still needs.

A reference is `file:NAME` (under secrets/, 0600), `env:NAME` or `command:PROGRAM ARGUMENT…`, by which any key service
or HSM that has a command-line client can be asked at the start of a process. The older keys of `file:token.key` are the
files of `secrets/token.old/`; the other two give all keys at once, the one in use first, as hexadecimal or base64
separated by blanks, commas or line ends.
"""

import base64
import binascii
import hmac
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from schemas.errors import ConfigError
from schemas.runtime import Home, now_us, write_private

KEY_BYTES: Final = 32
MAX_KEYS: Final = 64
SERVICE_TIMEOUT_S: Final = 20.0
_SEPARATOR: Final = re.compile(r"[\s,]+")
_HEX: Final = re.compile(r"[0-9a-fA-F]+")


class KeyRing:
    """The keys of one purpose, the one in use first. Never shows them."""

    __slots__ = ("keys",)

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("a key ring holds at least one key")
        self.keys: Final = tuple(dict.fromkeys(keys))

    @property
    def current(self) -> bytes:
        return self.keys[0]

    @property
    def names(self) -> list[str]:
        """A name for each key that tells nothing of it: 16 hex digits."""
        return [hmac.digest(key, b"custody key name v1", "sha256").hex()[:16] for key in self.keys]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyRing) and other.keys == self.keys

    def __hash__(self) -> int:
        return hash(self.keys)

    def __repr__(self) -> str:
        return f"KeyRing({len(self.keys)} keys)"


def read_ring(home: Home, reference: str) -> KeyRing:
    """The ring of a reference. Raises ConfigError, which never quotes a key."""
    kind, _, name = reference.partition(":")
    reader = READERS.get(kind)
    if reader is None or not name:
        raise ConfigError(f"a key is named {', '.join(f'{known}:…' for known in READERS)}, not {kind[:20]}:…")
    keys = reader(home, name)
    if len(keys) > MAX_KEYS:
        raise ConfigError(f"{kind}: more than {MAX_KEYS} keys")
    if any(len(key) < KEY_BYTES for key in keys):
        raise ConfigError(f"{kind}: a key needs at least {KEY_BYTES} bytes")
    return KeyRing(keys)


def older_dir(home: Home, name: str) -> Path:
    """Where `name`'s older keys are: `secrets/token.old` for `token.key`."""
    return home.secrets / f"{name.removesuffix('.key')}.old"


def older_keys(home: Home, name: str) -> list[bytes]:
    """The older keys of a key file, newest first. Raises ConfigError."""
    folder = older_dir(home, name)
    names = sorted((path.name for path in folder.glob("*.key")), reverse=True)
    return [home.read_key(f"{folder.name}/{each}") for each in names]


def retire_key(home: Home, name: str) -> str:
    """Keep a copy of a key file among its older ones; the copy's path under secrets/. Raises ConfigError."""
    key = home.read_key(name)
    path = older_dir(home, name) / f"{now_us():020d}.key"
    write_private(path, key)
    return str(path.relative_to(home.secrets))


def rotate_file(home: Home, name: str, make: Callable[[], bytes]) -> str:
    """Put a fresh key in a key file's place and keep the old one; where the old one is now, under secrets/.

    Cut off at any moment, every key that was ever in use is still there. Raises ConfigError.
    """
    retired = retire_key(home, name)
    write_private(home.secrets / name, make())
    return retired


class RingWatch:
    """Tells when the files behind a reference have changed. Environment and commands are read once, at the start."""

    def __init__(self, home: Home, reference: str) -> None:
        self._home = home
        self._reference = reference
        kind, _, name = reference.partition(":")
        self._paths = (home.secrets / name, older_dir(home, name)) if kind == "file" else ()
        self._seen: object = None

    def read(self) -> KeyRing:
        """The ring now. Raises ConfigError."""
        self._seen = self._stamp()
        return read_ring(self._home, self._reference)

    def poll(self) -> KeyRing | None:
        """The ring, if its files changed since it was read last. Raises ConfigError, again at every poll."""
        stamp = self._stamp()
        if stamp == self._seen:
            return None
        ring = read_ring(self._home, self._reference)
        self._seen = stamp
        return ring

    def _stamp(self) -> object:
        found = []
        for path in self._paths:
            try:
                stat = path.stat()
                found.append((stat.st_mtime_ns, stat.st_ino))
            except OSError:
                found.append((0, 0))
        return tuple(found)


def _read_file(home: Home, name: str) -> list[bytes]:
    return [home.read_key(name), *older_keys(home, name)]


def _read_env(_home: Home, name: str) -> list[bytes]:
    text = os.environ.get(name, "")
    if not text.strip():
        raise ConfigError(f"environment variable {name} holds no key")
    return parse_keys(text, f"environment variable {name}")


def _ask_service(_home: Home, command: str) -> list[bytes]:
    """What the command prints; it must end with 0 within 20 s. Its error output is not repeated: it may hold a key."""
    try:
        argv = shlex.split(command)
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=SERVICE_TIMEOUT_S, check=False
        )
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"the key service's command did not answer: {type(error).__name__}") from None
    if done.returncode:
        raise ConfigError(f"the key service's command {Path(argv[0]).name} ended with {done.returncode}")
    return parse_keys(done.stdout.decode("ascii", "replace"), f"the key service's command {Path(argv[0]).name}")


def parse_keys(text: str, source: str) -> list[bytes]:
    """Keys in hexadecimal or base64 (either alphabet), the one in use first. Raises ConfigError."""
    words = [word for word in _SEPARATOR.split(text) if word]
    if not words:
        raise ConfigError(f"{source} gave no key")
    return [_parse_key(word, source) for word in words]


def _parse_key(word: str, source: str) -> bytes:
    if len(word) % 2 == 0 and len(word) >= 2 * KEY_BYTES and _HEX.fullmatch(word):
        return bytes.fromhex(word)
    try:
        return base64.b64decode(word.replace("-", "+").replace("_", "/") + "=" * (-len(word) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{source} gave something that is neither hexadecimal nor base64") from None


READERS: Final[Mapping[str, Callable[[Home, str], list[bytes]]]] = {
    "file": _read_file,
    "env": _read_env,
    "command": _ask_service,
}
"""Where keys may come from: one line each."""
