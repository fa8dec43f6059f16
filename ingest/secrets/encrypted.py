"""`encrypted:NAME`: secrets of one file that is encrypted as a whole, see encrypted_file.py."""

import threading
from pathlib import Path

from ingest.secrets.base import Secret
from ingest.secrets.encrypted_file import EncryptedFile, WrongKey
from schemas.errors import ConfigError
from schemas.keys import KeyRing, RingWatch
from schemas.runtime import Home
from schemas.secret_references import Reference
from schemas.secrets_config import Encrypted


class EncryptedSource:
    """Reads the file anew each time, and its key when that has changed or is not the right one any more."""

    def __init__(self, settings: Encrypted, home: Home) -> None:
        self._file = EncryptedFile(find_path(settings, home))
        self._watch = RingWatch(home, settings.key)
        self._lock = threading.Lock()
        self._ring: KeyRing | None = None

    def fetch(self, reference: Reference) -> Secret:
        with self._lock:
            ring = self._ring = self._watch.read() if self._ring is None else self._watch.poll() or self._ring
        try:
            entries = self._file.read(ring)
        except WrongKey:  # a key of the environment or a service, which nobody watches, or one that just changed
            with self._lock:
                ring = self._ring = self._watch.read()
            entries = self._file.read(ring)
        entry = entries.get(reference.path)
        if entry is None:
            raise ConfigError(f"{reference.text}: there is no such secret")
        return Secret(entry.value)


def find_path(settings: Encrypted, home: Home) -> Path:
    """Where the file is: a relative path counts from the home."""
    return home.root / settings.file
