"""What was made once and can be made again, kept in a directory of one's own: a start takes it instead of making it.

A file counts only when it is this user's, nobody else may write or read it, and its digest is that of its name and
content; whatever else lies there is made anew. So a torn, damaged or foreign file costs time and nothing else. Nothing
here is secret, and nothing here is needed.
"""

import hashlib
import logging
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from schemas.runtime import write_private

log = logging.getLogger(__name__)

MAX_BYTES: Final = 64 << 20
MAX_FILES: Final = 8
"""A larger file is neither kept nor read; beyond so many the oldest go."""
_DIGEST_BYTES: Final = 32


def shipped_dir() -> Path:
    """What `make setup` made ahead for this environment, beside the code that it belongs to."""
    return Path(sys.prefix) / "custody-cache"


class PrivateCache:
    """Byte strings by name in `directory`, which is made when it is needed. What is not there may lie in `shipped`,
    under the same conditions; nothing is kept there."""

    def __init__(self, directory: Path, shipped: Path | None = None) -> None:
        self._directory = directory
        self._places = [directory] if shipped is None else [directory, shipped]

    def load(self, name: str) -> bytes | None:
        """What was kept under this name; None when there is nothing that counts."""
        found = (_load_from(place, name) for place in self._places)
        return next((data for data in found if data is not None), None)

    def keep(self, name: str, data: bytes) -> None:
        """Keep it, whole or not at all. A disk that does not take it is no error."""
        if len(data) > MAX_BYTES - _DIGEST_BYTES:
            return
        try:
            write_private(self._directory / name, _digest(name, data) + data)
            self._drop_oldest()
        except OSError as error:
            log.warning("%s is not kept for the next start: %s", name, error.strerror)

    def _drop_oldest(self) -> None:
        files = sorted((path.lstat().st_mtime_ns, path) for path in self._directory.iterdir())
        for _, path in files[:-MAX_FILES]:
            with suppress(FileNotFoundError):  # another process did
                path.unlink()


def _load_from(directory: Path, name: str) -> bytes | None:
    try:
        content = _read_own(directory / name)
    except OSError:
        return None
    data = content[_DIGEST_BYTES:]
    return data if content[:_DIGEST_BYTES] == _digest(name, data) else None


def _read_own(path: Path) -> bytes:
    """A regular file's bytes. Raises OSError when it is not this user's alone, or too large."""
    # Not blocking: a pipe in its place must not hold up a start.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        is_own = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
        if not is_own or found.st_size > MAX_BYTES:
            raise OSError("not a private file of this user")
        return file.read(MAX_BYTES + 1)


def _digest(name: str, data: bytes) -> bytes:
    digest = hashlib.sha256(f"custody cache v1\n{name}\n".encode())
    digest.update(data)
    return digest.digest()
