"""A hold's leaf opens with the hold and nothing else, and only the API's holds have one."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.errors import ConfigError, ForgedError
from schemas.events import ControlKind
from schemas.holds import encode_payload, parse_hold
from schemas.wire.control import sign_entry
from sinks.transparency.hold_leaf import make_hold_leaf, opens
from sinks.transparency.leaf import Coordinates, HoldLeaf, parse_leaf

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
HERE = Coordinates("control", 0, 7)
PLACED: dict[str, Any] = {
    "session": "s-1", "authority": "Gericht Zürich", "reason": "case 7", "placed_by": "ann", "approved_by": "bob",
    "placed_at": 1, "opening": "ab" * 16,
}  # fmt: skip
RELEASE = {"released_by": "ann", "release_approved_by": "bob", "release_reason": "over", "released_at": 2}


def leaf_of(payload: dict[str, Any], writer: str = "api", key: Ed25519PrivateKey = KEY) -> HoldLeaf:
    entry = sign_entry(ControlKind.LEGAL_HOLD, "h-1", encode_payload(payload), writer, key)
    leaf = parse_leaf(make_hold_leaf(HERE, entry, KEY.public_key()))
    assert isinstance(leaf, HoldLeaf)
    return leaf


def test_placed_and_released_open_with_what_control_has_in_the_end() -> None:
    placed, released = leaf_of(PLACED), leaf_of(PLACED | RELEASE)
    assert (placed.hold_id, placed.is_placed, released.is_placed) == ("h-1", True, False)
    hold = parse_hold("h-1", PLACED | RELEASE)
    assert opens(hold, placed) and opens(hold, released) and opens(parse_hold("h-1", PLACED), placed)
    for change in ({"session": "s-2"}, {"reason": "case 8"}, {"opening": "ac" * 16}):
        assert not opens(parse_hold("h-1", PLACED | change), placed)
    assert not opens(parse_hold("h-1", PLACED | RELEASE | {"released_by": "cid"}), released)


def test_others_cannot_place_holds() -> None:
    with pytest.raises(ForgedError):
        leaf_of(PLACED, key=Ed25519PrivateKey.generate())
    with pytest.raises(ForgedError):
        leaf_of(PLACED, writer="detect")
    with pytest.raises(ConfigError):
        leaf_of({"session": "s-1"})
    entry = sign_entry(ControlKind.LEGAL_HOLD, "h-1", "", "api", KEY)
    with pytest.raises(ConfigError):
        make_hold_leaf(HERE, entry, KEY.public_key())
