"""Changing the transparency log's key from the terminal; the sequencer does the work (sinks/transparency)."""

import time
from pathlib import Path

from console.control import Place, require_home
from schemas.errors import ConfigError, ProofError
from sinks.transparency.note import Verifier
from sinks.transparency.place import find_origin
from sinks.transparency.quorum import parse_policy
from sinks.transparency.rotation import prepare_key, start_rotation
from sinks.transparency.signing import KEY


def prepare_rotation(place: Place) -> Verifier:
    """The key that comes next. Raises ConfigError."""
    home = require_home(place).home
    if place.settings.transparency.signer_command:
        raise ConfigError("transparency.signer_command signs: its key is rotated where it is kept")
    return prepare_key(home, find_origin(place.settings, home))


def rotate(place: Place) -> Verifier:
    """Let the running sink take the next key up. Raises ConfigError, also while the policy does not name the key."""
    verifier = prepare_rotation(place)
    name = place.settings.transparency.policy_file
    if name:
        path = place.home.root / name
        if verifier not in _keys_of(path):
            raise ConfigError(f"add this line to {name}, and give it to your witnesses, first: log {verifier.vkey}")
    return start_rotation(place.home, verifier.name)


def wait_for_key(place: Place, verifier: Verifier, timeout_s: float) -> bool:
    """Whether the log signs with a key by then."""
    deadline = time.monotonic() + timeout_s
    while place.home.read_public(KEY) != verifier.public_key:
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.1)
    return True


def _keys_of(path: Path) -> tuple[Verifier, ...]:
    try:
        return parse_policy(path.read_text("utf-8")).log_keys
    except (OSError, UnicodeDecodeError, ProofError) as error:
        raise ConfigError(f"{path.name}: {error}") from None
