"""Rotating the key that signs the log's heads: a leaf names the next key, and the old one signs that leaf.

`custody log rotate-key` puts the next key beside the present one. The sequencer appends the KEY leaf, waits until a
head with it is published under the old key and, where the policy asks for it, witnessed, keeps that head as the
*handover*, and signs with the new key from then on. The old key is deleted. Each step may be repeated after a crash.

A reader that knows the first key only follows the chain: `keys/list` names leaf and key of each rotation, and
`keys/<leaf>` is the handover.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.errors import ConfigError, ProofError
from schemas.runtime import Home, write_private
from sinks.transparency.leaf import KeyLeaf, encode_key
from sinks.transparency.log import Head, Log, LogReader, Readable
from sinks.transparency.merkle import hash_leaf
from sinks.transparency.note import ED25519, KeySigner, Signer, Verifier, find_signature, open_checkpoint, parse_vkey
from sinks.transparency.quorum import Policy
from sinks.transparency.reading import VerifiedHead, check_continues, verify_head
from sinks.transparency.signing import KEY
from sinks.transparency.storage import Storage
from sinks.transparency.tiles import frame_entry

NEXT: Final = "log.next"
"""The key that takes over; `secrets/log.next.key`, and its public half once the sequencer may take it up."""
COMING: Final = "log.coming"
"""A key that was prepared, so that witnesses and policies can be told of it before it is used."""
LIST: Final = "keys/list"
NOTED: Final = "log.key"
"""In the log's positions: the key that was announced last, and the index of its leaf."""
LOOK_INTERVAL_S: Final = 0.5
MAX_KEYS: Final = 1000


class Published(Protocol):
    """What the rotation needs of a published checkpoint."""

    @property
    def head(self) -> Head: ...
    @property
    def is_witnessed(self) -> bool: ...
    def encode(self) -> bytes: ...


class Heads(Protocol):
    """What the rotation needs of the publisher."""

    @property
    def settled(self) -> Published | None: ...
    def use_signer(self, signer: Signer) -> None: ...


def prepare_key(home: Home, origin: str) -> Verifier:
    """The key that comes next; made when there is none. Raises ConfigError while a rotation is under way."""
    if (home.public / f"{NEXT}.pub").exists():
        raise ConfigError("a rotation of the log's key is under way: start the stack, and see `custody status`")
    path = home.secrets / f"{COMING}.key"
    if not path.exists():
        write_private(path, Ed25519PrivateKey.generate().private_bytes_raw())
    return Verifier(origin, ED25519, KeySigner(home.signing_key(COMING)).public_key)


def start_rotation(home: Home, origin: str) -> Verifier:
    """Let the sequencer take the prepared key up. Raises ConfigError."""
    verifier = prepare_key(home, origin)
    (home.secrets / f"{COMING}.key").rename(home.secrets / f"{NEXT}.key")
    write_private(home.public / f"{NEXT}.pub", verifier.public_key)
    return verifier


def settle_rotation(home: Home) -> None:
    """Finish what a crash cut off between the change of the secret key and that of the public one."""
    public = home.public / f"{NEXT}.pub"
    if public.exists() and not (home.secrets / f"{NEXT}.key").exists():
        write_private(home.public / f"{KEY}.pub", public.read_bytes())
        public.unlink()


def list_keys(home: Home, origin: str) -> list[Verifier]:
    """Every key of a home's log, the present one last. Raises ConfigError without a key."""
    try:
        lines = (home.public / "log.keys").read_text("utf-8").split()
        found = [parse_vkey(line) for line in lines if line]
    except FileNotFoundError:
        found = []
    except (OSError, UnicodeDecodeError, ProofError) as error:
        raise ConfigError(f"public/log.keys: {error}") from None
    present = Verifier(origin, ED25519, home.read_public(KEY))
    return found if present in found else [*found, present]


class Rotation:
    """The sequencer's side. For the thread that writes the log."""

    def __init__(self, home: Home, log: Log, storage: Storage, heads: Heads) -> None:
        self._home, self._log, self._storage, self._heads = home, log, storage, heads
        self._look_at = 0.0

    def work(self) -> None:
        """Go on with a rotation, if there is one. Raises Unreachable."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_INTERVAL_S
        if not (self._home.public / f"{NEXT}.pub").exists():
            return
        verifier = Verifier(self._log.origin, ED25519, KeySigner(self._home.signing_key(NEXT)).public_key)
        index = self._announce(verifier)
        published = self._heads.settled
        if published is not None and published.head.size > index and published.is_witnessed:
            self._hand_over(verifier, index, published.encode())

    def _announce(self, verifier: Verifier) -> int:
        """The index of the key's leaf; appended unless it is there."""
        known = self._log.positions.get(NOTED, {}).get(0)
        if known is not None and known[0] == verifier.vkey:
            return known[1]
        index, entry = self._log.size, encode_key(verifier.vkey)
        self._log.append([frame_entry(entry)], [hash_leaf(entry)], {NOTED: {0: (verifier.vkey, index)}})
        return index

    def _hand_over(self, verifier: Verifier, index: int, note: bytes) -> None:
        home = self._home
        known = list_keys(home, self._log.origin)
        if verifier not in known:
            known.append(verifier)
        self._storage.write(f"keys/{index}", note, is_durable=True)
        line = f"{index} {verifier.vkey}\n".encode()
        lines = (self._storage.read(LIST) or b"").splitlines(keepends=True)
        self._storage.write(LIST, b"".join([*(item for item in lines if item != line), line]), is_durable=True)
        write_private(home.public / "log.keys", "".join(f"{key.vkey}\n" for key in known).encode())
        # From here on the old key is gone, and the new one signs.
        (home.secrets / f"{NEXT}.key").replace(home.secrets / f"{KEY}.key")
        settle_rotation(home)
        self._heads.use_signer(KeySigner(home.signing_key(KEY)))


def extend_policy(storage: Readable, policy: Policy) -> Policy:
    """The policy with the keys that the log's directory says took over. They count only if `check_chain` agrees.

    Raises ProofError.
    """
    keys = list(policy.log_keys)
    lines = (storage.read(LIST) or b"").decode("utf-8", "replace").splitlines()
    for line in lines[:MAX_KEYS]:
        key = parse_vkey(line.partition(" ")[2])
        if key.name == policy.origin and key not in keys:
            keys.append(key)
    return Policy(tuple(keys), policy.witnesses, policy.groups, policy.quorum)


def check_chain(
    storage: Readable,
    reader: LogReader,
    head: VerifiedHead,
    policy: Policy,
    leaves: Iterable[tuple[int, KeyLeaf]],
    note_fault: Callable[[str], None],
) -> None:
    """That each key was announced by a leaf and handed over by the one before, and that the last of them signs.

    `policy` is the reader's own: its first key is where the chain begins. Raises ProofError for a malformed key.
    """
    current = policy.log_keys[0]
    is_open = False
    chain = list(leaves)
    # The reader's first key may be a later one of the log: what came before it is not his to judge.
    begin = max((place + 1 for place, (_, leaf) in enumerate(chain) if leaf.vkey == current.vkey), default=0)
    for index, leaf in chain[begin:]:
        following = parse_vkey(leaf.vkey)
        if is_open:
            note_fault(f"leaf {index} announces a key while another one was never handed over to")
            return
        data = storage.read(f"keys/{index}")
        if data is None and following in policy.log_keys:
            note_fault(f"leaf {index} announces a key, and the head by which the one before handed over is gone")
            return
        if data is None:
            is_open = True  # under way: the old key signs on
            continue
        try:
            _check_handover(reader, head, policy, current, index, data)
        except ProofError as error:
            note_fault(f"leaf {index} announces a key that the one before did not hand over to: {error}")
            return
        current = following
    if find_signature(head.note, current) is None:
        note_fault(f"the head is not signed by the key that should sign it, {current.vkey}")


def _check_handover(
    reader: LogReader, head: VerifiedHead, policy: Policy, signer: Verifier, index: int, data: bytes
) -> None:
    checkpoint, _ = open_checkpoint(data, [signer])
    if checkpoint.size <= index:
        raise ProofError("the head of the handover does not cover the leaf")
    handover = verify_head(data, Policy((signer,), policy.witnesses, policy.groups, policy.quorum))
    if not handover.is_witnessed:
        raise ProofError("the quorum has not signed the head of the handover")
    check_continues(reader, head, handover)
