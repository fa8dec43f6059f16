"""Signed notes, checkpoints and cosignatures, as bytes. Pure.

A note is UTF-8 text, an empty line, and signature lines `— <key name> <base64(key id, signature)>`. A checkpoint is a
note whose text is origin, tree size, root. Sources: c2sp.org/signed-note, c2sp.org/tlog-checkpoint,
c2sp.org/tlog-cosignature.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from schemas.errors import ProofError

ED25519: Final = 1
COSIGNATURE: Final = 4
"""Algorithm bytes of keys: plain Ed25519, and Ed25519 over a checkpoint with the witness's time."""
MAX_NOTE_BYTES: Final = 64 * 1024
MAX_SIGNATURES: Final = 100
MAX_TREE_SIZE: Final = (1 << 63) - 1
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_MARK: Final = "\u2014 "
_NAME: Final = re.compile(r"[^\s+\x00-\x1f\x7f]{1,255}")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


class Signer(Protocol):
    """What signs: a key in a file, or one that never leaves a token or a key management service."""

    @property
    def public_key(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature, 64 bytes. Raises Unreachable when what holds the key does not answer."""


@dataclass(frozen=True, slots=True)
class KeySigner:
    """Signs with a key in memory."""

    key: Ed25519PrivateKey

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message)


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key under a name; `algorithm` is ED25519 or COSIGNATURE."""

    name: str
    algorithm: int
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of a hash over name, algorithm and key."""
        return sha256(self.name.encode() + b"\n" + bytes((self.algorithm,)) + self.public_key).digest()[:4]

    @property
    def vkey(self) -> str:
        """The key as one line of text."""
        encoded = base64.b64encode(bytes((self.algorithm,)) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line. `data` follows the key id."""

    name: str
    key_id: bytes
    data: bytes

    @property
    def line(self) -> str:
        return f"{_MARK}{self.name} {base64.b64encode(self.key_id + self.data).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note; nothing in it is verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        return (self.text + "\n" + "".join(signature.line for signature in self.signatures)).encode()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: log, size, root (32 bytes)."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse_vkey(text: str) -> Verifier:
    """Raises ProofError for anything but an Ed25519 key of one of the two algorithms."""
    name, _, rest = text.strip().partition("+")
    id_, _, encoded = rest.partition("+")
    data = decode_base64(encoded)
    if not _NAME.fullmatch(name) or len(data) != 1 + _KEY_BYTES or data[0] not in (ED25519, COSIGNATURE):
        raise ProofError("not a verifier key of a kind that is known here")
    verifier = Verifier(name, data[0], data[1:])
    if verifier.key_id.hex() != id_:
        raise ProofError(f"the id of the verifier key {name} is not that of its key")
    return verifier


def parse_note(data: bytes) -> Note:
    """Split a note into text and signatures. Raises ProofError."""
    if len(data) > MAX_NOTE_BYTES:
        raise ProofError("a note of more than 64 KiB")
    try:
        whole = data.decode()
    except UnicodeDecodeError:
        raise ProofError("a note that is not UTF-8") from None
    head, separator, tail = whole.rpartition("\n\n")
    if not separator or not tail.endswith("\n") or _CONTROL.search(whole):
        raise ProofError("not a signed note")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise ProofError("a note with too many signatures")
    return Note(head + "\n", tuple(parse_signature(line) for line in lines))


def parse_signature(line: str) -> Signature:
    """A signature line without its line end. Raises ProofError."""
    name, _, encoded = line.removeprefix(_MARK).partition(" ")
    data = decode_base64(encoded)
    if not line.startswith(_MARK) or not _NAME.fullmatch(name) or len(data) < 5:
        raise ProofError("not a signature line")
    return Signature(name, data[:4], data[4:])


def parse_checkpoint(text: str) -> Checkpoint:
    """The tree head in a note's text. Raises ProofError, also for extension lines, which nobody audits."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not _NAME.fullmatch(lines[0]) or not _SIZE.fullmatch(lines[1]):
        raise ProofError("not a checkpoint of origin, size and root")
    root = decode_base64(lines[2])
    if len(root) != 32 or int(lines[1]) > MAX_TREE_SIZE:
        raise ProofError("a checkpoint without a root of 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root)


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> Signature:
    """The log's own signature, under its origin as name."""
    verifier = Verifier(checkpoint.origin, ED25519, signer.public_key)
    return Signature(verifier.name, verifier.key_id, signer.sign(checkpoint.text.encode()))


def cosign_checkpoint(text: str, name: str, signer: Signer, at_s: int) -> Signature:
    """A witness's signature: it saw this checkpoint at that time, and nothing inconsistent before."""
    verifier = Verifier(name, COSIGNATURE, signer.public_key)
    signed = signer.sign(cosigned_message(text, at_s))
    return Signature(name, verifier.key_id, at_s.to_bytes(8, "big") + signed)


def cosigned_message(text: str, at_s: int) -> bytes:
    """What a witness signs."""
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()


def find_signature(note: Note, verifier: Verifier) -> Signature | None:
    """The verified signature of a key, None when it did not sign. Raises ProofError when its signature is bad."""
    for signature in note.signatures:
        if signature.name == verifier.name and signature.key_id == verifier.key_id:
            check_signature(note.text, signature, verifier)
            return signature
    return None


def check_signature(text: str, signature: Signature, verifier: Verifier) -> None:
    """Raises ProofError."""
    message, data = text.encode(), signature.data
    if verifier.algorithm == COSIGNATURE:
        if len(data) != 8 + _SIGNATURE_BYTES:
            raise ProofError(f"the cosignature of {verifier.name} has the wrong length")
        message, data = cosigned_message(text, cosigned_at(signature)), data[8:]
    try:
        Ed25519PublicKey.from_public_bytes(verifier.public_key).verify(data, message)
    except (InvalidSignature, ValueError):
        raise ProofError(f"the signature of {verifier.name} is bad") from None


def cosigned_at(signature: Signature) -> int:
    """When a witness signed, in seconds since the epoch."""
    return int.from_bytes(signature.data[:8], "big")


def open_checkpoint(data: bytes, log_keys: Iterable[Verifier]) -> tuple[Checkpoint, Note]:
    """The tree head of a note that one of the log's keys signed. Raises ProofError."""
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    for key in log_keys:
        if key.name == checkpoint.origin and key.algorithm == ED25519 and find_signature(note, key) is not None:
            return checkpoint, note
    raise ProofError(f"no key of the log {checkpoint.origin} signed the checkpoint")


def encode_note(text: str, signatures: Sequence[Signature]) -> bytes:
    """A note as bytes."""
    return Note(text, tuple(signatures)).encode()


def decode_base64(text: str) -> bytes:
    """Standard base64 with padding, nothing else. Raises ProofError."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        raise ProofError("not base64") from None
