"""Where a home keeps its transparency log, under which name, and whom it asks for cosignatures."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from schemas.config import Settings
from schemas.errors import ConfigError, ProofError
from schemas.runtime import Home, write_private
from sinks.transparency.note import COSIGNATURE, Verifier
from sinks.transparency.quorum import Policy, Witness, format_policy, parse_policy
from sinks.transparency.rotation import list_keys
from sinks.transparency.signing import KEY

WITNESS: Final = "witness"
LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class LogPlace:
    """`directory` may be given to anybody; `state` is the sequencer's own. `keys` are the log's, the newest last."""

    directory: Path
    state: Path
    policy: Policy
    keys: Sequence[Verifier]

    @property
    def origin(self) -> str:
        return self.policy.origin

    @property
    def verifier(self) -> Verifier:
        """The key that signs now."""
        return self.keys[-1]


def log_directory(home: Home) -> Path:
    """The public part of the log."""
    return home.root / "transparency" / "log"


def state_directory(home: Home) -> Path:
    """The sequencer's private state."""
    return home.root / "transparency" / "state"


def witness_directory(home: Home) -> Path:
    """The embedded witness's memory."""
    return home.root / "transparency" / "witness"


def find_origin(settings: Settings, home: Home) -> str:
    """The log's name: configured, or what it was called first. Raises ConfigError without a key."""
    if settings.transparency.origin:
        return settings.transparency.origin
    try:
        return (home.public / "log.origin").read_text("utf-8").strip()
    except OSError:
        return f"custody.local/log/{sha256(home.read_public(KEY)).hexdigest()[:16]}"


def keep_origin(settings: Settings, home: Home) -> str:
    """`find_origin`, written down: a new key does not change it."""
    origin = find_origin(settings, home)
    path = home.public / "log.origin"
    if not path.exists() and not settings.transparency.origin:
        write_private(path, f"{origin}\n".encode())
    return origin


def embedded_witness(home: Home) -> Verifier:
    """The key of the embedded stack's witness."""
    public = home.read_public(WITNESS)
    return Verifier(f"custody.local/witness/{sha256(public).hexdigest()[:16]}", COSIGNATURE, public)


def find_policy(settings: Settings, home: Home) -> Policy:
    """The policy file, or the embedded witness as the whole quorum. Raises ConfigError."""
    origin = find_origin(settings, home)
    keys = list_keys(home, origin)
    if not settings.transparency.policy_file:
        url = f"http://{LOOPBACK}:{settings.ports.witness}"
        return parse_policy(format_policy(keys, [Witness(WITNESS, embedded_witness(home), url)], 1))
    path = home.root / settings.transparency.policy_file
    try:
        policy = parse_policy(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ProofError) as error:
        raise ConfigError(f"transparency.policy_file {path.name}: {error}") from None
    if not set(keys) & set(policy.log_keys):
        raise ConfigError(f"transparency.policy_file {path.name} does not name this log's key {keys[-1].vkey}")
    # Keys that took over since the policy was written: readers follow the chain (rotation.py).
    later = tuple(key for key in keys if key not in policy.log_keys)
    return Policy(policy.log_keys + later, policy.witnesses, policy.groups, policy.quorum)


def find_log(settings: Settings, home: Home) -> LogPlace:
    """Raises ConfigError."""
    keys = list_keys(home, find_origin(settings, home))
    return LogPlace(log_directory(home), state_directory(home), find_policy(settings, home), keys)
