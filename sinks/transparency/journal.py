"""The sequencer's own state: one fsync a batch, and what was promised survives.

`journal` takes one record a batch: the entries, the tree's size and root after them, how far the input was read. The
record that is fsynced is the commit: nothing is signed that is not in here. Tiles follow from it, so they need no fsync
of their own until the journal is cut: then they are synced, a `snapshot` holds the state, and the journal begins anew.
A torn last record was never acted on, and is cut off.

`lock` is held by the one process that writes, and names it: a second one is refused, and one whose lock file was taken
away from under it stops before its next commit.
"""

import fcntl
import json
import os
import secrets
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from schemas.errors import ConfigError, ProofError, Unreachable
from sinks.transparency.storage import replace_file, sync_path, write_all

MAGIC: Final = b"CTJ1"
_HEADER: Final = struct.Struct(">4sIII")
"""Magic, length of the JSON head, length of the entries, CRC-32 of both."""
MAX_PART_BYTES: Final = 1 << 30

Positions = dict[str, dict[int, tuple[str, int]]]
"""Topic -> partition -> (log id, offset) of the last record whose leaves are in the tree."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A record of the journal: `entries` (framed) bring the tree to `size` and `root`."""

    size: int
    count: int
    root: bytes
    positions: Positions
    entries: bytes


@dataclass(slots=True)
class State:
    """The tree at a moment. `tails[L]`: the hashes of level L that fill no tile yet; `entries`: those, framed."""

    size: int = 0
    root: bytes = b""
    positions: Positions = field(default_factory=dict)
    tails: list[list[bytes]] = field(default_factory=list)
    entries: list[bytes] = field(default_factory=list)


class Journal:
    """The private directory of a log. Opened by one process at a time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._token = secrets.token_hex(16)
        self._descriptor = -1
        self._lock = -1
        self._size = 0
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._take_lock()
        self._descriptor = os.open(directory / "journal", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        sync_path(directory)

    @property
    def bytes_since_snapshot(self) -> int:
        return self._size

    def close(self) -> None:
        for descriptor in (self._descriptor, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._lock = -1

    def load(self) -> tuple[State, Iterator[Commit]]:
        """The snapshot, and the commits after it in order. A torn end is cut off. Raises ProofError."""
        state = self._read_snapshot()
        return state, self._replay(state.size)

    def append(self, commit: Commit) -> None:
        """Durable when it returns. Raises Unreachable; then the record does not count, and may be appended again."""
        self._check_lock()
        head = json.dumps(
            {
                "size": commit.size,
                "count": commit.count,
                "root": commit.root.hex(),
                "positions": _as_json(commit.positions),
            }
        ).encode()
        checksum = zlib.crc32(commit.entries, zlib.crc32(head))
        record = b"".join((_HEADER.pack(MAGIC, len(head), len(commit.entries), checksum), head, commit.entries))
        try:
            os.lseek(self._descriptor, self._size, os.SEEK_SET)
            write_all(self._descriptor, record)
            os.fdatasync(self._descriptor)
        except OSError as error:
            raise Unreachable(f"the log's journal: {error.strerror}") from None
        self._size += len(record)

    def cut(self, state: State) -> None:
        """Begin anew with a snapshot; the tiles of `state` are durable already. Raises Unreachable."""
        self._check_lock()
        document = {
            "size": state.size,
            "root": state.root.hex(),
            "positions": _as_json(state.positions),
            "tails": [[item.hex() for item in tail] for tail in state.tails],
            "entries": [item.hex() for item in state.entries],
        }
        try:
            replace_file(self._directory / "snapshot", json.dumps(document).encode())
            os.ftruncate(self._descriptor, 0)
            os.fsync(self._descriptor)
        except OSError as error:
            raise Unreachable(f"the log's journal: {error.strerror}") from None
        self._size = 0

    def _take_lock(self) -> None:
        path = self._directory / "lock"
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            self._lock = -1
            raise ConfigError("the transparency log is being written by another process") from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, self._token.encode(), 0)

    def _check_lock(self) -> None:
        """Raises ConfigError when the lock's name belongs to somebody else now."""
        try:
            is_ours = (self._directory / "lock").read_bytes() == self._token.encode()
        except OSError:
            is_ours = False
        if not is_ours:
            raise ConfigError("the transparency log has another writer: this one stops")

    def _read_snapshot(self) -> State:
        try:
            document = json.loads((self._directory / "snapshot").read_bytes())
            return State(
                int(document["size"]),
                bytes.fromhex(document["root"]),
                _from_json(document["positions"]),
                [[bytes.fromhex(item) for item in tail] for tail in document["tails"]],
                [bytes.fromhex(item) for item in document["entries"]],
            )
        except FileNotFoundError:
            return State()
        except (OSError, ValueError, KeyError, TypeError):
            raise ProofError("the log's snapshot is damaged: restore the log from a backup") from None

    def _replay(self, size: int) -> Iterator[Commit]:
        """Records after a snapshot of `size`; those before it were left by a crash while the journal was cut."""
        position, end = 0, os.fstat(self._descriptor).st_size
        while (commit := self._read_at(position, end)) is not None:
            position += commit[1]
            self._size = position
            if commit[0].size > size:
                yield commit[0]
        if position < end:
            os.ftruncate(self._descriptor, position)
            os.fsync(self._descriptor)
        self._size = position

    def _read_at(self, position: int, end: int) -> tuple[Commit, int] | None:
        """The record there and its length; None when it is torn or not there."""
        header = os.pread(self._descriptor, _HEADER.size, position)
        if len(header) < _HEADER.size:
            return None
        magic, head_bytes, entries_bytes, checksum = _HEADER.unpack(header)
        length = _HEADER.size + head_bytes + entries_bytes
        if magic != MAGIC or max(head_bytes, entries_bytes) > MAX_PART_BYTES or position + length > end:
            return None
        head = os.pread(self._descriptor, head_bytes, position + _HEADER.size)
        entries = _read_exactly(self._descriptor, entries_bytes, position + _HEADER.size + head_bytes)
        if zlib.crc32(entries, zlib.crc32(head)) != checksum:
            return None
        values = json.loads(head)
        root = bytes.fromhex(values["root"])
        return Commit(values["size"], values["count"], root, _from_json(values["positions"]), entries), length


def _read_exactly(descriptor: int, count: int, position: int) -> bytes:
    pieces = []
    while count and (piece := os.pread(descriptor, count, position)):
        pieces.append(piece)
        count -= len(piece)
        position += len(piece)
    return b"".join(pieces)


def _as_json(positions: Mapping[str, Mapping[int, tuple[str, int]]]) -> dict[str, Any]:
    return {topic: {str(p): list(position) for p, position in known.items()} for topic, known in positions.items()}


def _from_json(document: Mapping[str, Mapping[str, Any]]) -> Positions:
    return {
        topic: {int(p): (str(log_id), int(offset)) for p, (log_id, offset) in known.items()}
        for topic, known in document.items()
    }
