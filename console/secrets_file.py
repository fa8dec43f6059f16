"""The file of upstreams' secrets, as the console writes it: one change at a time, under a key it makes at first."""

import os
from dataclasses import dataclass

from console.control import Place, require_home
from ingest.secrets.encrypted import find_path
from ingest.secrets.encrypted_file import EncryptedFile
from schemas.errors import ConfigError
from schemas.keys import KEY_BYTES, KeyRing, read_ring, rotate_file
from schemas.runtime import write_private


@dataclass(frozen=True, slots=True)
class Listed:
    """One secret as it is shown: never the value. `changed_at`: µs, UTC."""

    name: str
    reference: str
    changed_at: int


def put(place: Place, name: str, value: str) -> Listed:
    """Add or replace a secret. Raises ConfigError."""
    file = _open(place)
    with file.lock():
        file.put(_ring_to_write(place, file), name, value)
    return next(item for item in list_all(place) if item.name == name)


def list_all(place: Place) -> list[Listed]:
    """What the file holds, by name. Raises ConfigError."""
    file = _open(place)
    if not file.exists:
        return []
    entries = file.read(read_ring(place.home, place.settings.secrets.encrypted.key))
    return [Listed(name, f"encrypted:{name}", entry.changed_at) for name, entry in sorted(entries.items())]


def remove(place: Place, name: str) -> None:
    """Take a secret out. Raises ConfigError."""
    file = _open(place)
    with file.lock():
        file.remove(read_ring(place.home, place.settings.secrets.encrypted.key), name)


def rotate_key(place: Place) -> str:
    """Write the file anew under a new key; the key's name. Raises ConfigError.

    A key in a file is made here, and the old one kept beside it until the file is written, so that a run cut off at any
    moment leaves a file that opens. One of the environment or of a service is changed there first, the old one after
    it; this then writes the file under the first.
    """
    file = _open(place)
    reference = place.settings.secrets.encrypted.key
    kind, _, name = reference.partition(":")
    with file.lock():
        entries = file.read(read_ring(place.home, reference))
        if kind == "file":
            rotate_file(place.home, name, lambda: os.urandom(KEY_BYTES))
        ring = read_ring(place.home, reference)
        file.write(ring, entries)
    return ring.names[0]


def _open(place: Place) -> EncryptedFile:
    return EncryptedFile(find_path(place.settings.secrets.encrypted, require_home(place).home))


def _ring_to_write(place: Place, file: EncryptedFile) -> KeyRing:
    """The key; a first one is made where the settings name a file and nothing is written yet."""
    reference = place.settings.secrets.encrypted.key
    kind, _, name = reference.partition(":")
    path = place.home.secrets / name
    if kind == "file" and not path.exists():
        if file.exists:
            raise ConfigError(f"secrets/{name}, the key of the file of secrets, is not here")
        if not path.resolve().is_relative_to(place.home.secrets.resolve()):
            raise ConfigError(f"{name} is outside secrets/")
        write_private(path, os.urandom(KEY_BYTES))
    return read_ring(place.home, reference)
