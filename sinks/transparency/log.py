"""The log: a sequencer that appends entries durably, and readers of its tiles.

Order of writing: the journal's record (fsync), full tiles and bundles, then for a checkpoint the partial ones, then the
checkpoint. So whatever a checkpoint names is there before it, and whatever was ever signed is in the journal.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol

from schemas.errors import ProofError, Unreachable
from sinks.transparency.journal import Commit, Journal, Positions, State
from sinks.transparency.merkle import (
    EMPTY_ROOT,
    Proof,
    consistency_ranges,
    fold,
    hash_leaf,
    hash_range,
    inclusion_ranges,
)
from sinks.transparency.note import Checkpoint, parse_checkpoint, parse_note
from sinks.transparency.storage import Storage
from sinks.transparency.tiles import (
    CHECKPOINT,
    WIDTH,
    bundle_path,
    split_bundle,
    split_tile,
    tile_path,
    tile_width,
)

MAX_JOURNAL_BYTES: Final = 16 << 20
"""Beyond it tiles are synced and the journal begins anew: about 100,000 leaves."""
CACHED_TILES: Final = 512


@dataclass(frozen=True, slots=True)
class Head:
    """The tree at a moment, with the partial tiles and the partial bundle that a checkpoint of it needs."""

    size: int
    root: bytes
    positions: Positions
    partials: tuple[tuple[str, bytes], ...]


class Log:
    """One log, one writer. Not for several threads. `open` first."""

    def __init__(self, storage: Storage, directory: Path, origin: str) -> None:
        self.origin = origin
        self._storage = storage
        self._journal = Journal(directory)
        self._state = State(root=EMPTY_ROOT)
        self._unwritten: list[tuple[str, bytes]] = []  # full tiles that are committed, but not yet in the storage
        self._partials: dict[str, set[str]] = {}  # full tile's path -> its partial ones that may lie there

    @property
    def size(self) -> int:
        return self._state.size

    @property
    def root(self) -> bytes:
        return self._state.root

    @property
    def positions(self) -> Positions:
        return self._state.positions

    def open(self) -> None:
        """Bring tiles to what the journal says. Raises ProofError when tiles, journal and checkpoint disagree."""
        state, commits = self._journal.load()
        if not state.root:
            state.root = EMPTY_ROOT
        self._state = state
        self._check_frontier()
        known = {state.size: state.root}
        for commit in commits:
            self._replay(commit)
            known[commit.size] = commit.root
        self._check_published(known)
        self._find_partials()

    def append(self, framed: Sequence[bytes], hashes: Sequence[bytes], positions: Positions) -> None:
        """Make entries (as bundles hold them) and their leaf hashes part of the tree. Durable when it returns.

        `positions` are those that change. Raises Unreachable: then nothing happened, and the same may be tried again.
        """
        grown = _Growth(self._state, framed, hashes)
        self._journal.append(Commit(grown.size, len(framed), grown.root, positions, b"".join(framed)))
        self._adopt(grown, positions)
        # The batch counts from here on. What the storage does not take now is written before the next checkpoint.
        with contextlib.suppress(Unreachable):
            self._write_tiles()
            if self._journal.bytes_since_snapshot > MAX_JOURNAL_BYTES:
                self.settle()

    def settle(self) -> None:
        """Make tiles durable by themselves and begin the journal anew. Raises Unreachable."""
        self._write_tiles()
        self._storage.sync()
        self._journal.cut(self._state)

    def head(self) -> Head:
        """The tree now."""
        state = self._state
        partials = [
            (tile_path(level, (state.size >> 8 * (level + 1)), len(tail)), b"".join(tail))
            for level, tail in enumerate(state.tails)
            if tail
        ]
        if state.entries:
            partials.append((bundle_path(state.size // WIDTH, len(state.entries)), b"".join(state.entries)))
        positions = {topic: dict(known) for topic, known in state.positions.items()}
        return Head(state.size, state.root, positions, tuple(partials))

    def stage(self, head: Head) -> None:
        """Write every tile that a checkpoint of `head` needs. Raises Unreachable."""
        self._write_tiles()
        for path, data in head.partials:
            self._storage.write(path, data)
            self._partials.setdefault(path.rpartition(".p/")[0], set()).add(path)

    def publish(self, head: Head, note: bytes) -> None:
        """Let readers see a checkpoint of a staged head. Raises Unreachable."""
        self._storage.write(CHECKPOINT, note, is_durable=True)
        for full in [path for path in self._partials if self._is_full(path, head.size)]:
            for path in self._partials.pop(full):
                self._storage.delete(path)

    def close(self) -> None:
        self._journal.close()

    def _adopt(self, grown: "_Growth", positions: Positions) -> None:
        self._unwritten += grown.tiles
        state = self._state
        state.size, state.root, state.tails, state.entries = grown.size, grown.root, grown.tails, grown.entries
        for topic, known in positions.items():
            state.positions.setdefault(topic, {}).update(known)

    def _write_tiles(self) -> None:
        while self._unwritten:
            self._storage.write(*self._unwritten[0])
            del self._unwritten[0]

    def _replay(self, commit: Commit) -> None:
        framed = [len(entry).to_bytes(2, "big") + entry for entry in split_bundle(commit.entries, commit.count)]
        grown = _Growth(self._state, framed, [hash_leaf(entry[2:]) for entry in framed])
        if grown.size != commit.size or grown.root != commit.root:
            raise ProofError(f"the journal's record up to size {commit.size} does not continue the tree")
        self._adopt(grown, commit.positions)
        self._write_tiles()

    def _check_frontier(self) -> None:
        """The snapshot's edge must follow from the tiles that are there: nothing goes on upon another history."""
        state = self._state
        if not state.size:
            return
        reader = LogReader(self._storage, state.size)
        for level, tail in enumerate(state.tails):
            base = (state.size >> 8 * (level + 1)) * WIDTH
            found = (
                [hash_leaf(entry[2:]) for entry in state.entries]
                if level == 0
                else [fold(reader.tile(level - 1, base + i)) for i in range(len(tail))]
            )
            if found != tail:
                raise ProofError(
                    f"level {level} of the tiles does not follow from the tiles below it: nothing is signed"
                )
        if _root_of(state.tails) != state.root:
            raise ProofError("the snapshot's root does not follow from the tiles: nothing is signed")

    def _check_published(self, known: dict[int, bytes]) -> None:
        """The checkpoint that is out there must be of this tree: another one, or a later one, would be contradicted."""
        data = self._storage.read(CHECKPOINT)
        if data is None:
            return
        published = parse_checkpoint(parse_note(data).text)
        if published.origin != self.origin:
            raise ProofError(f"the directory holds the log {published.origin}, not {self.origin}")
        if published.size > self._state.size:
            raise ProofError(
                f"a checkpoint of size {published.size} is published, but the log's state ends at {self._state.size}:"
                " it was put back to an older state, and nothing is signed"
            )
        root = known.get(published.size)
        if root is None:
            overlay = _Overlay(self._storage, dict(self.head().partials))
            root = LogReader(overlay, self._state.size).root_at(published.size)
        if root != published.root:
            raise ProofError(f"the published checkpoint of size {published.size} has another root: nothing is signed")

    def _find_partials(self) -> None:
        """Partial tiles that a predecessor left beside the edge and one tile before it."""
        size = self._state.size
        for level in range(8):
            edge = size >> 8 * (level + 1)
            for number in range(max(0, edge - 1), edge + 1):
                for path in (tile_path(level, number), *((bundle_path(number),) if level == 0 else ())):
                    if widths := self._storage.list_widths(path):
                        self._partials[path] = {f"{path}.p/{width}" for width in widths}

    def _is_full(self, path: str, size: int) -> bool:
        """Whether a tree of `size` has the whole of the tile or bundle at a path."""
        _, level, *groups = path.split("/")
        number = int("".join(group.removeprefix("x") for group in groups))
        return tile_width(0 if level == "entries" else int(level), number, size) == WIDTH


class _Growth:
    """A state with entries added, beside the old one: new edge, new root, and the tiles that became full."""

    def __init__(self, state: State, framed: Sequence[bytes], hashes: Sequence[bytes]) -> None:
        self.tiles: list[tuple[str, bytes]] = []
        self.size = state.size + len(framed)
        number = state.size // WIDTH
        entries = [*state.entries, *framed]
        for start in range(0, len(entries) - WIDTH + 1, WIDTH):
            self.tiles.append((bundle_path(number + start // WIDTH), b"".join(entries[start : start + WIDTH])))
        self.entries = entries[len(entries) // WIDTH * WIDTH :]
        self.tails: list[list[bytes]] = []
        level, added = 0, list(hashes)
        while added or level < len(state.tails):
            tail = [*(state.tails[level] if level < len(state.tails) else ()), *added]
            number = state.size >> 8 * (level + 1)
            added = []
            for start in range(0, len(tail) - WIDTH + 1, WIDTH):
                tile = tail[start : start + WIDTH]
                self.tiles.append((tile_path(level, number + start // WIDTH), b"".join(tile)))
                added.append(fold(tile))
            self.tails.append(tail[len(tail) // WIDTH * WIDTH :])
            level += 1
        self.root = _root_of(self.tails)


def _root_of(tails: Sequence[Sequence[bytes]]) -> bytes:
    """The root over the edge: each level's subtrees, then what the levels below it come to."""
    rest: list[bytes] = []
    for tail in tails:
        if tail:
            rest = [fold([*tail, *rest])]
    return rest[0] if rest else EMPTY_ROOT


@dataclass(frozen=True, slots=True)
class _Overlay:
    """Some objects in memory before those of a storage."""

    storage: Storage
    objects: Mapping[str, bytes]

    def read(self, path: str) -> bytes | None:
        return self.objects.get(path) or self.storage.read(path)


class Readable(Protocol):
    """What a reader of a log needs of a storage."""

    def read(self, path: str) -> bytes | None:
        """An object, None when there is none. Raises Unreachable."""


class LogReader:
    """Reads a tree of `size` out of tiles, whoever wrote them. Nothing is believed but the sizes of the tiles."""

    def __init__(self, storage: Readable, size: int) -> None:
        self.size = size
        self._storage = storage
        self._tile = lru_cache(CACHED_TILES)(self._read_tile)

    def tile(self, level: int, number: int) -> list[bytes]:
        """The hashes of a tile, as many as the tree has. Raises ProofError when it is missing or of another size."""
        return self._tile(level, number)

    def bundle(self, number: int) -> list[bytes]:
        """The entries of a bundle, as many as the tree has. Raises ProofError."""
        width = tile_width(0, number, self.size)
        data = self._find(bundle_path(number), bundle_path(number, width))
        if data is None:
            raise ProofError(f"the entries from {number * WIDTH} on are missing")
        # A full bundle is walked over once; one that may have grown beyond the tree twice.
        return split_bundle(data, WIDTH) if width == WIDTH else split_bundle(*_fit_bundle(data, width))

    def hash_perfect(self, level: int, index: int) -> bytes:
        """The root over the leaves index * 2^level up to (index + 1) * 2^level."""
        tile_level, height = divmod(level, 8)
        first = index << height
        hashes = self.tile(tile_level, first // WIDTH)[first % WIDTH : first % WIDTH + (1 << height)]
        if len(hashes) != 1 << height:
            raise ProofError("a proof reaches beyond the tree")
        return fold(hashes)

    def root_at(self, size: int) -> bytes:
        """The root of the tree when it had `size` leaves. Raises ProofError."""
        if not 0 <= size <= self.size:
            raise ProofError(f"a tree of {self.size} never had {size} leaves")
        return hash_range((0, size), self.hash_perfect) if size else EMPTY_ROOT

    def prove_inclusion(self, index: int, size: int | None = None) -> Proof:
        """The audit path of a leaf in the tree of `size` leaves. Raises ProofError."""
        ranges = inclusion_ranges(index, self.size if size is None else size)
        return [hash_range(range_, self.hash_perfect) for range_ in ranges]

    def prove_consistency(self, old: int, size: int | None = None) -> Proof:
        """That the tree of `old` is the beginning of the one of `size`. Raises ProofError."""
        return [hash_range(range_, self.hash_perfect) for range_ in consistency_ranges(old, size or self.size)]

    def _read_tile(self, level: int, number: int) -> list[bytes]:
        width = tile_width(level, number, self.size)
        data = self._find(tile_path(level, number), tile_path(level, number, width))
        if not width or data is None:
            raise ProofError(f"tile {level}/{number} is missing")
        if len(data) == WIDTH * 32:
            return split_tile(data, WIDTH)[:width]
        return split_tile(data, width)

    def _find(self, full: str, partial: str) -> bytes | None:
        """The partial object, else the full one: the tree may have grown since."""
        data = self._storage.read(partial)
        return data if data is not None or partial == full else self._storage.read(full)


def _fit_bundle(data: bytes, width: int) -> tuple[bytes, int]:
    """The first `width` entries of a bundle that may hold more by now, as bytes, and their number."""
    position = 0
    for _ in range(width):
        if position + 2 > len(data):
            break
        position += 2 + int.from_bytes(data[position : position + 2], "big")
    return data[:position], width


def read_checkpoint(storage: Readable) -> tuple[Checkpoint, bytes] | None:
    """The published checkpoint, unverified, and its note; None when there is none. Raises ProofError."""
    data = storage.read(CHECKPOINT)
    return None if data is None else (parse_checkpoint(parse_note(data).text), data)
