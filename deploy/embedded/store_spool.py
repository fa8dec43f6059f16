"""Bodies of INSERTs on their way into the engine: files of the store's own directory, removed after use.

What they hold is masked already (only sinks insert), like everything else in this directory.
"""

import contextlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from deploy.embedded.store_errors import StoreError, too_large

INBOX: Final = "inbox"
GLOB_CHARACTERS: Final = frozenset("*?{}[]'\\\n")


@dataclass(slots=True)
class Body:
    """A body that is being written."""

    path: Path
    file: BinaryIO
    limit: int
    size: int = 0

    def write(self, piece: bytes) -> None:
        """Append. Raises QueryError (307) beyond the limit."""
        self.size += len(piece)
        if self.size > self.limit:
            raise too_large("the body", self.limit)
        self.file.write(piece)


@dataclass(frozen=True)
class Inbox:
    """The directory of bodies. `clear` removes what a killed process left."""

    directory: Path
    max_body_bytes: int
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)

    def prepare(self) -> None:
        """Make the directory, empty. Raises StoreError when its path would be a pattern to the engine."""
        if GLOB_CHARACTERS & set(str(self.directory)):
            raise StoreError("the home directory's path may not hold any of * ? { } [ ] ' \\")
        self.directory.mkdir(mode=0o700, exist_ok=True)
        for path in self.directory.iterdir():
            path.unlink()

    @contextlib.contextmanager
    def open_body(self) -> Iterator[Body]:
        """A new file (0600), removed at the end whatever happens."""
        path = self.directory / f"body-{next(self._numbers)}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                yield Body(path, file, self.max_body_bytes)
        finally:
            path.unlink(missing_ok=True)
