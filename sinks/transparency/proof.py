"""One leaf's inclusion proof as a file: c2sp.org/tlog-proof. Pure.

c2sp.org/tlog-proof@v1
index <n>
<hash, base64>            from the leaf up, one a line
(empty line)
<checkpoint with its signatures>
"""

import base64
import re
from dataclasses import dataclass
from typing import Final

from schemas.errors import ProofError
from sinks.transparency.merkle import MAX_PROOF_HASHES, Proof
from sinks.transparency.note import decode_base64

TITLE: Final = "c2sp.org/tlog-proof@v1"
MAX_PROOF_BYTES: Final = 128 * 1024
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class LeafProof:
    """The leaf's index, the hashes of its audit path, and the checkpoint that they lead to."""

    index: int
    hashes: Proof
    checkpoint: bytes


def encode_leaf_proof(proof: LeafProof) -> bytes:
    """The file's bytes."""
    lines = [TITLE, f"index {proof.index}", *(base64.b64encode(item).decode() for item in proof.hashes)]
    return "\n".join([*lines, "", ""]).encode() + proof.checkpoint


def parse_leaf_proof(data: bytes) -> LeafProof:
    """Raises ProofError. An `extra` line is allowed, and proves nothing."""
    if len(data) > MAX_PROOF_BYTES:
        raise ProofError("a proof of more than 128 KiB")
    head, separator, checkpoint = data.partition(b"\n\n")
    lines = head.decode("utf-8", "replace").split("\n")
    if not separator or lines[0] != TITLE:
        raise ProofError("not a tlog-proof")
    rest = lines[2:] if len(lines) > 1 and lines[1].startswith("extra ") else lines[1:]
    match = _INDEX.fullmatch(rest[0]) if rest else None
    if match is None or len(rest) > MAX_PROOF_HASHES + 1:
        raise ProofError("a tlog-proof without an index, or with too many hashes")
    return LeafProof(int(match.group(1)), [decode_base64(line) for line in rest[1:]], checkpoint)
