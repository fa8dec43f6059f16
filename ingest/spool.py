"""The local spool: sealed batches on disk while the broker is away. First in, first out per partition.

One append-only file per partition: length (4 bytes), CRC-32 (4 bytes), record; fsynced before `append` returns. The
records are sealed already, so the spool holds no plaintext. What was drained but not yet cut off when the process died
is sent again after the restart; the masking processor drops it as a duplicate. A torn tail was never acknowledged to
anyone and is cut off.
"""

import os
import zlib
from collections import deque
from pathlib import Path
from struct import Struct
from typing import Final

from schemas.errors import AuditUnavailable

_HEAD: Final = Struct(">II")
MAX_RECORD_BYTES: Final = 8 << 20


class _File:
    """One partition's file. `entries` are (offset, length) of records not yet dropped."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.entries: deque[tuple[int, int]] = deque()
        self.end = self._scan()
        os.ftruncate(self.descriptor, self.end)

    def _scan(self) -> int:
        at = 0
        while len(head := os.pread(self.descriptor, _HEAD.size, at)) == _HEAD.size:
            length, checksum = _HEAD.unpack(head)
            if length > MAX_RECORD_BYTES:
                break
            record = os.pread(self.descriptor, length, at + _HEAD.size)
            if len(record) < length or zlib.crc32(record) != checksum:
                break
            self.entries.append((at + _HEAD.size, length))
            at += _HEAD.size + length
        return at

    def append(self, record: bytes) -> None:
        data = _HEAD.pack(len(record), zlib.crc32(record)) + record
        try:
            if os.pwrite(self.descriptor, data, self.end) != len(data):
                raise OSError("short write")
            os.fsync(self.descriptor)
        except OSError:
            os.ftruncate(self.descriptor, self.end)
            raise
        self.entries.append((self.end + _HEAD.size, len(record)))
        self.end += len(data)

    def drop(self) -> None:
        self.entries.popleft()
        if not self.entries:
            os.ftruncate(self.descriptor, 0)
            self.end = 0


class DiskSpool:
    """See `schemas.wire.publisher.Spool`. `max_bytes` bounds all partitions together."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._max_bytes = max_bytes
        self._files = {int(path.stem): _File(path) for path in directory.glob("*.spool")}

    def append(self, partition: int, record: bytes) -> None:
        """Keep a record. Raises AuditUnavailable when the spool is full or the disk fails."""
        if sum(file.end for file in self._files.values()) + len(record) > self._max_bytes:
            raise AuditUnavailable("the spool is full")
        try:
            self._file(partition).append(record)
        except OSError as error:
            raise AuditUnavailable(f"the spool cannot be written: {error.strerror}") from None

    def first(self, partition: int) -> bytes | None:
        """The oldest record of a partition, left in place."""
        file = self._files.get(partition)
        if file is None or not file.entries:
            return None
        offset, length = file.entries[0]
        return os.pread(file.descriptor, length, offset)

    def drop(self, partition: int) -> None:
        """Forget the oldest record of a partition."""
        self._files[partition].drop()

    def count(self, partition: int) -> int:
        """How many records of a partition are kept."""
        file = self._files.get(partition)
        return len(file.entries) if file else 0

    def close(self) -> None:
        """Close the files; what they hold stays."""
        for file in self._files.values():
            os.close(file.descriptor)
        self._files.clear()

    def _file(self, partition: int) -> _File:
        if partition not in self._files:
            self._files[partition] = _File(self._directory / f"{partition}.spool")
            descriptor = os.open(self._directory, os.O_RDONLY)
            try:
                os.fsync(descriptor)  # the name must survive too
            finally:
                os.close(descriptor)
        return self._files[partition]
