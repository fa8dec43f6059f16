"""RFC 6962 hash trees with SHA-256: hashing, roots, and the proofs that a reader checks. Pure.

A subtree whose size is no power of two is split at the largest one below it; the odd node of a level is promoted as it
is. So folding a list pair by pair gives the root. Sources: RFC 6962 section 2.1; RFC 9162 sections 2.1.3 and 2.1.4.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final

from schemas.errors import ProofError

HASH_BYTES: Final = 32
LEAF_PREFIX: Final = b"\x00"
NODE_PREFIX: Final = b"\x01"
EMPTY_ROOT: Final = sha256(b"").digest()
MAX_PROOF_HASHES: Final = 63

Proof = list[bytes]
"""Hashes of 32 bytes each, in the order in which they are used."""
Range = tuple[int, int]
"""Leaves `first` up to, not including, `end`."""


def hash_leaf(entry: bytes) -> bytes:
    """The hash of a leaf."""
    return sha256(LEAF_PREFIX + entry).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """The hash over two subtrees."""
    return sha256(NODE_PREFIX + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over subtrees of one size, of which the last may be smaller. At least one."""
    level = list(hashes)
    while len(level) > 1:
        above = [sha256(NODE_PREFIX + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)]
        if len(level) & 1:
            above.append(level[-1])
        level = above
    return level[0]


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root of a whole tree."""
    return fold(leaf_hashes) if leaf_hashes else EMPTY_ROOT


def split_size(size: int) -> int:
    """The largest power of two below `size` (2 or more)."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The subtrees whose hashes prove that leaf `index` is in a tree of `size`, from the leaf up."""
    if not 0 <= index < size:
        raise ProofError(f"no leaf {index} in a tree of {size}")
    path: list[Range] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + split_size(high - low)
        if index < middle:
            path.append((middle, high))
            high = middle
        else:
            path.append((low, middle))
            low = middle
    return path[::-1]


def consistency_ranges(old: int, size: int) -> list[Range]:
    """The subtrees whose hashes prove that a tree of `old` is the beginning of one of `size`."""
    if not 0 <= old <= size:
        raise ProofError(f"a tree of {size} does not continue one of {old}")
    if old in (0, size):
        return []
    path: list[Range] = []
    low, high, is_known = 0, size, True
    while old != high:
        middle = low + split_size(high - low)
        if old <= middle:
            path.append((middle, high))
            high = middle
        else:
            path.append((low, middle))
            low, is_known = middle, False
    if not is_known:
        path.append((low, high))
    return path[::-1]


def hash_range(range_: Range, hash_perfect: Callable[[int, int], bytes]) -> bytes:
    """The root over leaves of a range that a proof asks for; `hash_perfect(level, index)` knows the full subtrees."""
    low, high = range_
    size = high - low
    if size & (size - 1) == 0:
        return hash_perfect(size.bit_length() - 1, low // size)
    middle = low + split_size(size)
    return hash_node(hash_range((low, middle), hash_perfect), hash_range((middle, high), hash_perfect))


def check_inclusion(proof: Sequence[bytes], index: int, leaf_hash: bytes, size: int, root: bytes) -> None:
    """Raises ProofError unless the leaf is in the tree."""
    if not 0 <= index < size:
        raise ProofError(f"no leaf {index} in a tree of {size}")
    node, last, found = index, size - 1, leaf_hash
    for sibling in _hashes(proof):
        if last == 0:
            raise ProofError("the inclusion proof is too long")
        if node & 1 or node == last:
            found = hash_node(sibling, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = hash_node(found, sibling)
        node, last = node >> 1, last >> 1
    if last or found != root:
        raise ProofError("the inclusion proof does not lead to the root")


def check_consistency(proof: Sequence[bytes], old: int, old_root: bytes, size: int, root: bytes) -> None:
    """Raises ProofError unless the tree of `old` is the beginning of the tree of `size`."""
    if not 0 <= old <= size:
        raise ProofError(f"a tree of {size} does not continue one of {old}")
    if old in (0, size):
        if proof or (old == size and old_root != root) or (old == 0 and old_root != EMPTY_ROOT):
            raise ProofError("the consistency proof does not fit trees of these sizes")
        return
    path = list(_hashes(proof))
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise ProofError("the consistency proof is empty")
    node, last = old - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    before = after = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofError("the consistency proof is too long")
        if node & 1 or node == last:
            before, after = hash_node(sibling, before), hash_node(sibling, after)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            after = hash_node(after, sibling)
        node, last = node >> 1, last >> 1
    if last or before != old_root or after != root:
        raise ProofError("the trees are not consistent")


def _hashes(proof: Sequence[bytes]) -> Iterable[bytes]:
    if len(proof) > MAX_PROOF_HASHES:
        raise ProofError(f"a proof has at most {MAX_PROOF_HASHES} hashes")
    if any(len(item) != HASH_BYTES for item in proof):
        raise ProofError("a hash of a proof has not 32 bytes")
    return proof
