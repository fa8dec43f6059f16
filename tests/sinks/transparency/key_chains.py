"""A log of three keys, each announced in a leaf and handed over to."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sinks.transparency.key_chain import Handover, follow_keys
from sinks.transparency.leaf import KeyLeaf, encode_key
from sinks.transparency.log import LogReader
from sinks.transparency.note import (
    ED25519,
    Checkpoint,
    KeySigner,
    Verifier,
    cosign_checkpoint,
    encode_note,
    parse_note,
    sign_checkpoint,
)
from sinks.transparency.quorum import Policy, parse_policy
from sinks.transparency.storage import DirectoryStorage
from tests.sinks.transparency.filed import POLICY, WITNESS, WITNESS_KEY
from tests.sinks.transparency.logs import ORIGIN, SIGNER, VERIFIER, append, entries, open_log

SIGNERS = [SIGNER, *(KeySigner(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)) for number in (3, 4))]
KEYS = [VERIFIER, *(Verifier(ORIGIN, ED25519, signer.public_key) for signer in SIGNERS[1:])]


class Chain:
    """A log of three keys, each handed over to under a witnessed head."""

    def __init__(self, directory: Path, *, is_witnessed: bool = True) -> None:
        self.policy = parse_policy(POLICY)
        self.leaves: list[tuple[int, KeyLeaf]] = []
        self.handovers: dict[int, Handover] = {}
        log = open_log(directory)
        notes = {}
        for number, signer in enumerate(SIGNERS):
            append(log, entries(log.size, log.size + 40))
            if number + 1 < len(SIGNERS):
                self.leaves.append((log.size, KeyLeaf(KEYS[number + 1].vkey)))
                append(log, [encode_key(KEYS[number + 1].vkey)])
            head = log.head()
            log.stage(head)
            checkpoint = Checkpoint(ORIGIN, head.size, head.root)
            signatures = [sign_checkpoint(checkpoint, signer)]
            if is_witnessed:
                signatures.append(cosign_checkpoint(checkpoint.text, WITNESS_KEY.name, WITNESS, 1_790_000_000))
            notes[head.size] = encode_note(checkpoint.text, signatures)
            log.publish(head, notes[head.size])
        log.close()
        self.head, self.note = checkpoint, parse_note(notes[checkpoint.size])
        reader = LogReader(DirectoryStorage(directory / "log"), checkpoint.size)
        for (index, _), (size, data) in zip(self.leaves, notes.items(), strict=False):
            self.handovers[index] = Handover(data, tuple(reader.prove_consistency(size)))

    def follow(self, policy: Policy | None = None) -> tuple[Verifier, ...]:
        return follow_keys(policy or self.policy, self.head, self.note, self.leaves, self.handovers)
