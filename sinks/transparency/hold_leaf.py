"""Legal holds in the transparency log: the leaf of an entry of control, and whether a hold's text opens its leaf.

The leaf shows the hold's id and whether it is placed or released; what it selects and why is committed to only.
"""

import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from schemas.errors import ForgedError
from schemas.events import Control
from schemas.holds import LegalHold, encode_payload, parse_hold
from schemas.wire.control import ROOT_WRITER, ControlState, verify_entry
from sinks.transparency.leaf import Coordinates, HoldLeaf, commit, encode_hold


def make_hold_leaf(origin: Coordinates, entry: Control, root: Ed25519PublicKey) -> bytes:
    """The entry of a HOLD leaf. Raises ForgedError, ConfigError: what the API did not sign, or is no hold, has none."""
    if entry.writer != ROOT_WRITER:
        raise ForgedError(f"{entry.writer!r} may not write legal holds")
    verify_entry(entry, root, ControlState(root))
    try:
        payload = json.loads(entry.payload)
    except (ValueError, RecursionError):
        payload = None
    hold = parse_hold(entry.id, payload)
    commitment = commit(bytes.fromhex(hold.opening), entry.payload.encode())
    return encode_hold(origin, entry.id, hold.is_active, commitment)


def opens(hold: LegalHold, leaf: HoldLeaf) -> bool:
    """Whether a hold, as control has it now, is what the leaf commits to."""
    payload = encode_payload(hold.payload(as_placed=leaf.is_placed))
    return commit(bytes.fromhex(hold.opening), payload.encode()) == leaf.commitment
