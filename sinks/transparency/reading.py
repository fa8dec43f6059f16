"""Reads a whole log and verifies it: tree, root, signatures, quorum. Bounded memory but for the orders it holds.

Nothing of the hash tiles is believed, or even read: the root is made anew from the entries.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from schemas.errors import ProofError
from sinks.transparency.avro import read_record
from sinks.transparency.leaf import HoldLeaf, KeyLeaf, LeafKind, RetentionLeaf, parse_leaf
from sinks.transparency.log import LogReader, Readable
from sinks.transparency.merkle import EMPTY_ROOT, LEAF_PREFIX, check_consistency, fold
from sinks.transparency.note import Checkpoint, Note, open_checkpoint
from sinks.transparency.orders import Orders
from sinks.transparency.quorum import Policy, find_cosigners
from sinks.transparency.tiles import CHECKPOINT, WIDTH


@dataclass(frozen=True, slots=True)
class VerifiedHead:
    """A checkpoint that the log's key signed. `cosigners`: witness -> seconds since the epoch."""

    checkpoint: Checkpoint
    note: Note
    cosigners: Mapping[str, int]
    is_witnessed: bool


def read_head(storage: Readable, policy: Policy) -> VerifiedHead:
    """The published head, its signatures verified. Raises ProofError."""
    data = storage.read(CHECKPOINT)
    if data is None:
        raise ProofError("the log has published no checkpoint")
    return verify_head(data, policy)


def verify_head(data: bytes, policy: Policy) -> VerifiedHead:
    """A checkpoint's signatures, verified. Raises ProofError."""
    checkpoint, note = open_checkpoint(data, policy.log_keys)
    cosigners = find_cosigners(note, policy)
    return VerifiedHead(checkpoint, note, cosigners, policy.is_met(list(cosigners)))


def check_continues(reader: LogReader, head: VerifiedHead, earlier: VerifiedHead) -> None:
    """That the log still holds what an earlier head promised. Raises ProofError."""
    old, new = earlier.checkpoint, head.checkpoint
    if old.size > new.size:
        raise ProofError(f"the log had {old.size} leaves and now has {new.size}: it was rolled back")
    proof = reader.prove_consistency(old.size)
    check_consistency(proof, old.size, old.root, new.size, new.root)


def iterate_bundles(reader: LogReader) -> Iterator[tuple[int, list[bytes]]]:
    """(index of the first leaf, entries) of each bundle in order. Raises ProofError."""
    for number in range((reader.size + WIDTH - 1) // WIDTH):
        yield number * WIDTH, reader.bundle(number)


def verify_tree(
    reader: LogReader, root: bytes, schemas: Mapping[bytes, Any], orders: Orders, note: Callable[[int, Any], None]
) -> None:
    """Make the root from all entries, and note what is no event: orders, and for `note` holds and keys.

    `schemas` are RetentionAction's by fingerprint. Raises ProofError when the tree is not the head's.
    """
    tiles: list[bytes] = []
    for first, entries in iterate_bundles(reader):
        tiles.append(fold([sha256(LEAF_PREFIX + entry).digest() for entry in entries]))
        for place in [place for place, entry in enumerate(entries) if entry[1:2] not in _COMMON]:
            _note_other(first + place, entries[place], schemas, orders, note)
    found = fold(tiles) if tiles else EMPTY_ROOT
    if found != root:
        raise ProofError(f"the {reader.size} entries do not make the root that was signed")


_COMMON = frozenset((bytes((LeafKind.EVENT,)), bytes((LeafKind.BATCH,))))


def _note_other(
    index: int, entry: bytes, schemas: Mapping[bytes, Any], orders: Orders, note: Callable[[int, Any], None]
) -> None:
    leaf = parse_leaf(entry)
    if isinstance(leaf, RetentionLeaf):
        schema = schemas.get(leaf.fingerprint)
        if schema is None:
            raise ProofError(f"leaf {index} holds a retention action of a schema that is not known here")
        orders.note_action(index, read_record(schema, leaf.action))
    elif isinstance(leaf, HoldLeaf | KeyLeaf):
        note(index, leaf)
