"""Logs of a test's own, and what one writes to them."""

from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sinks.transparency.journal import Positions
from sinks.transparency.log import Log
from sinks.transparency.merkle import hash_leaf
from sinks.transparency.note import ED25519, Checkpoint, KeySigner, Verifier, encode_note, sign_checkpoint
from sinks.transparency.storage import DirectoryStorage
from sinks.transparency.tiles import frame_entry

ORIGIN = "log.example.test/custody"
SIGNER = KeySigner(Ed25519PrivateKey.from_private_bytes(b"\x11" * 32))
VERIFIER = Verifier(ORIGIN, ED25519, SIGNER.public_key)


def entry(number: int) -> bytes:
    return b"entry %d " % number + b"." * (number % 7)


def entries(first: int, end: int) -> list[bytes]:
    return [entry(number) for number in range(first, end)]


def open_log(directory: Path) -> Log:
    log = Log(DirectoryStorage(directory / "log"), directory / "state", ORIGIN)
    try:
        log.open()
    except BaseException:
        log.close()
        raise
    return log


def append(log: Log, items: Sequence[bytes], positions: Positions | None = None) -> None:
    log.append([frame_entry(item) for item in items], [hash_leaf(item) for item in items], positions or {})


def publish(log: Log) -> bytes:
    head = log.head()
    checkpoint = Checkpoint(log.origin, head.size, head.root)
    note = encode_note(checkpoint.text, [sign_checkpoint(checkpoint, SIGNER)])
    log.stage(head)
    log.publish(head, note)
    return note


def write_log(directory: Path, size: int) -> bytes:
    """A published log of `size` entries; its checkpoint."""
    log = open_log(directory)
    try:
        if size:
            append(log, entries(0, size))
        return publish(log)
    finally:
        log.close()
