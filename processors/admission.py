"""What may become evidence: a raw record is decoded, its signature verified, its batch opened and compared. Pure.

Keys come from a `KeyRing`. What is refused for good raises Refused; what may pass later raises KeyMissing.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from processors.pieces import Lexicon, Pieces, take_apart
from schemas.errors import ForgedError, RecordError, SealError
from schemas.events import SealedBatch, SealedHeader
from schemas.wire import framing, sealing
from schemas.wire.avro import text, zigzag

Reason = Literal["undecodable", "forged", "misplaced", "unopenable", "duplicate", "too_large"]

MAX_CLAIM_CHARS: Final = 120


class Refused(Exception):  # an outcome: the record gives an audit.gap
    """The record will never give events. `claimed` is what its unproven header says."""

    def __init__(self, reason: Reason, detail: str, claimed: SealedHeader | None = None) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail
        self.claimed = claimed


class KeyRing(Protocol):
    """Public keys of the proxies."""

    def key_of(self, proxy_id: str) -> Ed25519PublicKey | None:
        """The key with which this proxy signs, None when it has none."""


@dataclass(slots=True, frozen=True)
class Opened:
    """An authentic, opened batch. `pieces` is None when it was built unusually, and has to be read whole."""

    header: SealedHeader
    plain: bytes
    pieces: Pieces | None

    def read(self) -> dict[str, Any]:
        """All fields. Raises RecordError."""
        return framing.decode_body("EventBatch", self.plain)


def decode_sealed(value: bytes) -> SealedBatch:
    """A raw record's sealed batch. Raises Refused."""
    try:
        sealed = framing.decode(value)
    except RecordError as error:
        raise Refused("undecodable", str(error)) from None
    if not isinstance(sealed, SealedBatch):
        raise Refused("undecodable", f"a {type(sealed).__name__} on the raw topic")
    return sealed


def verify_sealed(sealed: SealedBatch, partition: int, keys: KeyRing) -> None:
    """Raises Refused unless the proxy it names signed this batch for this partition."""
    header = sealed.header
    key = keys.key_of(header.proxy_id)
    if key is None:
        raise Refused("forged", "its proxy has no registered key", header)
    try:
        sealing.verify(sealed, key)
    except ForgedError:
        raise Refused("forged", "its signature is not its proxy's", header) from None
    except (ValueError, OverflowError):
        raise Refused("forged", "its header is out of range", header) from None
    if header.partition != partition:
        raise Refused("misplaced", f"it was sealed for partition {header.partition}", header)


def open_sealed(sealed: SealedBatch, unsealer: sealing.Unsealer, lexicon: Lexicon) -> Opened:
    """The batch of a verified record. Raises KeyMissing (wait) or Refused."""
    header = sealed.header
    try:
        plain = unsealer.unseal(sealed)
        start = head_of(header)
        pieces = take_apart(plain, len(start), lexicon) if plain.startswith(start) and header.batch_seq >= 0 else None
        opened = Opened(header, plain, pieces)
        if pieces is None:
            _check_inside(opened.read(), header)
    except RecordError as error:
        raise Refused("undecodable", str(error), header) from None
    except SealError as error:
        if error.is_retryable:
            raise
        raise Refused("unopenable", str(error), header) from None
    return opened


def head_of(header: SealedHeader) -> bytes:
    """How a batch of this header begins when it has no origin and no rule version yet."""
    names = text(header.proxy_id) + text(header.proxy_epoch)
    return b"\x00" + names + zigzag(header.batch_seq) + b"\x00"


def _check_inside(fields: dict[str, Any], header: SealedHeader) -> None:
    """What is inside must be what the header says, and whole."""
    inside = (fields["proxy_id"], fields["proxy_epoch"], fields["batch_seq"])
    if inside != (header.proxy_id, header.proxy_epoch, header.batch_seq) or header.batch_seq < 0:
        raise Refused("undecodable", "its inside is another batch than its header says", header)
    if fields["origin"] is not None:
        raise Refused("undecodable", "it claims an origin", header)
    count = len(fields["sessions"])
    if not all(0 <= item["session"] < count for item in fields["events"]):
        raise Refused("undecodable", "an event belongs to no session of the batch", header)
