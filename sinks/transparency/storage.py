"""Where the public part of a log lies: a directory, or anything else that keeps objects under paths.

What is stored under a path never changes, `checkpoint` apart, so writing again is harmless. A reader must never see
half an object.
"""

import os
from pathlib import Path
from typing import Final, Protocol

from schemas.errors import Unreachable

MODE: Final = 0o644
MAX_OBJECT_BYTES: Final = 32 << 20


class Storage(Protocol):
    """Objects by path, e.g. `tile/0/x001/234`. Everything raises Unreachable when the place does not answer."""

    def write(self, path: str, data: bytes, *, is_durable: bool = False) -> None:
        """Put an object, whole or not at all; durable at once if asked for, else after `sync`."""

    def read(self, path: str) -> bytes | None:
        """An object, None when there is none."""

    def delete(self, path: str) -> None:
        """Remove an object, if it is there."""

    def list_widths(self, path: str) -> list[int]:
        """The widths of the partial tiles or bundles that lie beside the full one at `path`."""

    def sync(self) -> None:
        """Return when everything that was written before survives a loss of power."""


class DirectoryStorage:
    """A directory that any tlog-tiles client reads, over `file://` or through a web server."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._unsynced: set[Path] = set()
        self._directories: set[Path] = set()

    def write(self, path: str, data: bytes, *, is_durable: bool = False) -> None:
        target = self.root / path
        temporary = target.with_name(f".{target.name}.new")
        try:
            if target.parent not in self._directories:
                target.parent.mkdir(parents=True, exist_ok=True)
                self._directories.add(target.parent)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE)
            try:
                write_all(descriptor, data)
                if is_durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.replace(target)
            if is_durable:
                sync_path(target.parent)
        except OSError as error:
            self._directories.discard(target.parent)
            raise Unreachable(f"the log's directory: {error.strerror}") from None
        if not is_durable:
            self._unsynced.add(target)

    def read(self, path: str) -> bytes | None:
        try:
            with (self.root / path).open("rb") as file:
                data = file.read(MAX_OBJECT_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Unreachable(f"the log's directory: {error.strerror}") from None
        if len(data) > MAX_OBJECT_BYTES:
            raise Unreachable(f"the log's {path} has more than {MAX_OBJECT_BYTES} bytes")
        return data

    def delete(self, path: str) -> None:
        target = self.root / path
        target.unlink(missing_ok=True)
        self._unsynced.discard(target)

    def list_widths(self, path: str) -> list[int]:
        try:
            return sorted(int(item.name) for item in (self.root / f"{path}.p").iterdir() if item.name.isdecimal())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def list_paths(self) -> list[str]:
        """Every object that is there, in order."""
        files = (path for path in self.root.rglob("*") if path.is_file() and not path.name.startswith("."))
        return sorted(path.relative_to(self.root).as_posix() for path in files)

    def sync(self) -> None:
        """Files first, then the directories that name them."""
        try:
            for target in self._unsynced:
                sync_path(target)
            for directory in self._find_directories():
                sync_path(directory)
        except OSError as error:
            raise Unreachable(f"the log's directory: {error.strerror}") from None
        self._unsynced.clear()

    def _find_directories(self) -> set[Path]:
        found: set[Path] = set()
        for target in self._unsynced:
            directory = target.parent
            while directory not in found and directory != self.root.parent:
                found.add(directory)
                directory = directory.parent
        return found


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_path(path: Path) -> None:
    """fsync a file or directory; one that has gone meanwhile needs none. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file whole or not at all, durable when this returns. Raises OSError."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    sync_path(path.parent)
