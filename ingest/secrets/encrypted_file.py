"""A file of secrets, encrypted and authenticated as a whole, so that it may lie in a repository or a backup.

Bytes: MAGIC, the first 8 bytes of the key's name, 32 of salt, then AES-256-GCM's ciphertext of a JSON object and its
tag of 16. All before the ciphertext is associated data. Key and nonce of one writing are HKDF-SHA-256 of the key under
that writing's random salt, so that no pair of them is ever used twice.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from schemas.errors import ConfigError
from schemas.keys import KeyRing
from schemas.runtime import now_us, write_private

MAGIC: Final = b"custody secrets v1\n"
NAME_BYTES: Final = 8
SALT_BYTES: Final = 32
HEAD_BYTES: Final = len(MAGIC) + NAME_BYTES + SALT_BYTES
TAG_BYTES: Final = 16
MAX_FILE_BYTES: Final = 4 << 20
MAX_VALUE_BYTES: Final = 65_536
NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,199})")
"""What a secret may be called."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One secret, and when it was put there (µs, UTC)."""

    value: str = field(repr=False)
    changed_at: int


class WrongKey(ConfigError):
    """None of the keys is the one that the file was written under."""


class EncryptedFile:
    """The file at a path. Every failure is a ConfigError that names the file and holds nothing of it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def exists(self) -> bool:
        return self._path.exists()

    def read(self, ring: KeyRing) -> dict[str, Entry]:
        """Every secret, by name. Raises ConfigError, WrongKey."""
        raw = self._read_bytes()
        if not raw.startswith(MAGIC):
            raise ConfigError(f"{self._path.name} is no file of secrets that Custody wrote")
        if len(raw) < HEAD_BYTES + TAG_BYTES:
            raise ConfigError(f"{self._path.name} is cut off")
        head, ciphertext = raw[:HEAD_BYTES], raw[HEAD_BYTES:]
        cipher, nonce = _derive(self._find_key(ring, head[len(MAGIC) : -SALT_BYTES]), head[-SALT_BYTES:])
        try:
            return _parse(cipher.decrypt(nonce, ciphertext, head))
        except InvalidTag:
            raise ConfigError(f"{self._path.name} was altered or cut off: it does not authenticate") from None

    def write(self, ring: KeyRing, entries: Mapping[str, Entry]) -> None:
        """Replace the file, whole or not at all, under the key in use. Raises ConfigError when it grows too large."""
        head = MAGIC + bytes.fromhex(ring.names[0]) + os.urandom(SALT_BYTES)
        plain = json.dumps({name: [entry.value, entry.changed_at] for name, entry in sorted(entries.items())}).encode()
        if HEAD_BYTES + len(plain) + TAG_BYTES > MAX_FILE_BYTES:
            raise ConfigError(f"{self._path.name} would be larger than {MAX_FILE_BYTES} bytes")
        cipher, nonce = _derive(ring.current, head[-SALT_BYTES:])
        try:
            write_private(self._path, head + cipher.encrypt(nonce, plain, head))
        except OSError as error:
            raise ConfigError(f"{self._path.name}: {error.strerror}") from None

    def put(self, ring: KeyRing, name: str, value: str) -> None:
        """Add or replace one secret. The caller holds the lock. Raises ConfigError."""
        if NAME.fullmatch(name) is None:
            raise ConfigError("a secret's name is of letters, digits, _ . and -, at most 200")
        if not value or len(value.encode()) > MAX_VALUE_BYTES or "\x00" in value:
            raise ConfigError(f"a secret is text of 1 to {MAX_VALUE_BYTES} bytes")
        entries = self.read(ring) if self.exists else {}
        self.write(ring, entries | {name: Entry(value, now_us())})

    def remove(self, ring: KeyRing, name: str) -> None:
        """Take one secret out. The caller holds the lock. Raises ConfigError."""
        entries = self.read(ring)
        if entries.pop(name, None) is None:
            raise ConfigError(f"{self._path.name} has no such secret")
        self.write(ring, entries)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other writers out; readers need no lock, as a file is replaced whole. Raises ConfigError."""
        path = self._path.with_name(f".{self._path.name}.lock")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"{path.name}: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _find_key(self, ring: KeyRing, name: bytes) -> bytes:
        for key, known in zip(ring.keys, ring.names, strict=True):
            if known == name.hex():
                return key
        raise WrongKey(f"{self._path.name} was written under another key ({name.hex()})")

    def _read_bytes(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                raw = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise ConfigError(f"{self._path.name}: {error.strerror}") from None
        if len(raw) > MAX_FILE_BYTES:
            raise ConfigError(f"{self._path.name} is larger than {MAX_FILE_BYTES} bytes")
        return raw


def _derive(key: bytes, salt: bytes) -> tuple[AESGCM, bytes]:
    """Cipher and nonce of one writing."""
    made = HKDF(SHA256(), 32 + 12, salt, MAGIC).derive(key)
    return AESGCM(made[:32]), made[32:]


def _parse(plain: bytes) -> dict[str, Entry]:
    document: dict[str, Any] = json.loads(plain)  # authenticated: this is what `write` made
    return {name: Entry(str(value), int(changed_at)) for name, (value, changed_at) in document.items()}
