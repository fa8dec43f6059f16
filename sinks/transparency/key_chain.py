"""The keys of a log that were rotated, as a file of evidence shows them: who knows one of them can follow to the last.

`keys.json` has for each leaf that announces a key: its index, the head by which the key before handed over (signed by
it and the quorum), and the proof that the file's head continues that one. A key whose handover is not there did not
take over. Pure.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.errors import ProofError
from sinks.transparency.leaf import KeyLeaf
from sinks.transparency.merkle import check_consistency
from sinks.transparency.note import (
    Checkpoint,
    Note,
    Verifier,
    decode_base64,
    find_signature,
    open_checkpoint,
    parse_vkey,
)
from sinks.transparency.quorum import Policy, find_cosigners

KEYS_FILE: Final = "keys.json"
MAX_HANDOVERS: Final = 1000


@dataclass(frozen=True, slots=True)
class Handover:
    """A head of the key before, and that a later head continues it."""

    note: bytes
    proof: tuple[bytes, ...]


def encode_handovers(handovers: Mapping[int, Handover]) -> str:
    """keys.json, by the leaves' indices."""
    rows = [
        {
            "index": index,
            "checkpoint": base64.b64encode(item.note).decode(),
            "consistency": [base64.b64encode(each).decode() for each in item.proof],
        }
        for index, item in sorted(handovers.items())
    ]
    return json.dumps({"handovers": rows}, indent=1)


def read_handovers(document: Mapping[str, Any]) -> dict[int, Handover]:
    """keys.json, decoded. Raises ProofError; TypeError, ValueError and KeyError for what is none."""
    rows = document["handovers"]
    if not isinstance(rows, list) or len(rows) > MAX_HANDOVERS:
        raise ProofError(f"{KEYS_FILE} names more than {MAX_HANDOVERS} keys, or none at all")
    return {
        int(row["index"]): Handover(
            decode_base64(row["checkpoint"]), tuple(decode_base64(each) for each in row["consistency"])
        )
        for row in rows
    }


def follow_keys(
    policy: Policy,
    head: Checkpoint,
    note: Note,
    leaves: Sequence[tuple[int, KeyLeaf]],
    handovers: Mapping[int, Handover],
) -> tuple[Verifier, ...]:
    """The keys that took over after those of the policy; the last of all signed the head. Raises ProofError.

    `leaves` announce keys, in the log's order; that they are under the head is the caller's to check.
    """
    current = policy.log_keys[0]
    # The reader's first key may be a later one of the log: what came before it is not his to judge.
    begin = max((place + 1 for place, (_, leaf) in enumerate(leaves) if leaf.vkey == current.vkey), default=0)
    found: list[Verifier] = []
    for index, leaf in leaves[begin:]:
        handover = handovers.get(index)
        if handover is None:
            continue  # under way, or given up: the old key signs on
        following = parse_vkey(leaf.vkey)
        if following.name != policy.origin:
            raise ProofError(f"leaf {index} announces a key of another log")
        _check_handover(policy, head, current, index, handover)
        found.append(following)
        current = following
    if find_signature(note, current) is None:
        raise ProofError(f"the head is not signed by the key that should sign it, {current.vkey}")
    return tuple(key for key in found if key not in policy.log_keys)


def _check_handover(policy: Policy, head: Checkpoint, signer: Verifier, index: int, handover: Handover) -> None:
    earlier, note = open_checkpoint(handover.note, [signer])
    if earlier.origin != head.origin or not index < earlier.size <= head.size:
        raise ProofError(f"the head by which the key of leaf {index} took over does not cover that leaf")
    if not policy.is_met(list(find_cosigners(note, policy))):
        raise ProofError(f"the quorum has not signed the head by which the key of leaf {index} took over")
    check_consistency(handover.proof, earlier.size, earlier.root, head.size, head.root)
