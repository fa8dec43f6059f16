"""Sealed batches: confidential to the masking processor, authentic from the proxy.

One AES-256-GCM key per proxy epoch, wrapped to the masking processor's public key with HPKE (RFC 9180 base mode, see
suites.py). Each batch: zstd, then AES-GCM with the header's Avro bytes as associated data and nonce = partition
(4 bytes) ‖ batch_seq (8 bytes), so no nonce repeats under an epoch's key. The proxy signs domain ‖ header ‖ ciphertext
with Ed25519.
"""

import logging
import os
from collections.abc import Callable, Mapping
from typing import Final

import zstandard
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.config import Settings
from schemas.errors import ConfigError, ForgedError, KeyMissing, SealError
from schemas.events import Origin, SealedBatch, SealedHeader
from schemas.runtime import Home
from schemas.wire import avro, framing
from schemas.wire.suites import DEFAULT, Choice, UnsealPrivate, UnsealPublic, suite_for, suite_of

log = logging.getLogger(__name__)

DOMAIN: Final = b"custody.sealed-batch.v1\x00"
WRAP_INFO: Final = b"custody.epoch-key.v1"
MAX_BATCH_BYTES: Final = 32 * 1024 * 1024
"""Largest plain batch that is opened: bounds what a hostile frame can make zstd allocate."""


def _nonce(partition: int, batch_seq: int) -> bytes:
    return partition.to_bytes(4, "big") + batch_seq.to_bytes(8, "big")


def _header_bytes(header: SealedHeader) -> bytes:
    return framing.encode_header(header)


class Sealer:
    """Seals a proxy epoch's batches. One per process start: the epoch and its key are made here and never stored.

    `source` gives the unsealing key of now, so that a rotated one is taken up by `refresh` without a new start.
    """

    def __init__(
        self,
        proxy_id: str,
        signing_key: Ed25519PrivateKey,
        unseal_public: UnsealPublic,
        choice: Choice = DEFAULT,
        source: Callable[[], UnsealPublic] | None = None,
    ) -> None:
        self.proxy_id = proxy_id
        self.epoch = os.urandom(16).hex()
        self._signing_key = signing_key
        self._choice = choice
        self._source = source
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._wrap(unseal_public)

    def _wrap(self, public: UnsealPublic) -> None:
        """A fresh key for the epoch: what the old unsealing key opens must not open what comes now."""
        suite, self._key_id = suite_for(public, self._choice)
        epoch_key = AESGCM.generate_key(256)
        self._aead = AESGCM(epoch_key)
        self._wrapped = suite.encrypt(epoch_key, public.handle, info=WRAP_INFO + self.epoch.encode())
        self._public = public

    def refresh(self) -> bool:
        """Seal to the unsealing key of now. True when it is another one than before; one that does not load is not."""
        if self._source is None:
            return False
        try:
            public = self._source()
        except (ConfigError, ValueError) as error:
            log.warning("the unsealing key's public half cannot be read, the last one stays: %s", error)
            return False
        if public == self._public:
            return False
        self._wrap(public)
        log.warning("the unsealing key was rotated: sealing to %s", self._key_id)
        return True

    def seal(
        self, plain: bytes, partition: int, batch_seq: int, created_at: int, redrives: Origin | None = None
    ) -> SealedBatch:
        """Seal one batch's Avro bytes. A (partition, batch_seq) must never be sealed twice: it is the nonce."""
        header = SealedHeader(
            self.proxy_id, self.epoch, partition, batch_seq, created_at, self._key_id, self._wrapped, redrives
        )
        _, ciphertext, signature = self._seal(plain, header)
        return SealedBatch(header, ciphertext, signature)

    def seal_body(self, plain: bytes, partition: int, batch_seq: int, created_at: int) -> bytes:
        """Like `seal`, as the bare Avro bytes of the SealedBatch: its header's bytes are at hand already."""
        header = SealedHeader(
            self.proxy_id, self.epoch, partition, batch_seq, created_at, self._key_id, self._wrapped, None
        )
        associated, ciphertext, signature = self._seal(plain, header)
        return b"".join((associated, avro.blob(ciphertext), avro.blob(signature)))

    def _seal(self, plain: bytes, header: SealedHeader) -> tuple[bytes, bytes, bytes]:
        associated = _header_bytes(header)
        compressed = self._compressor.compress(plain)
        ciphertext = self._aead.encrypt(_nonce(header.partition, header.batch_seq), compressed, associated)
        return associated, ciphertext, self._signing_key.sign(DOMAIN + associated + ciphertext)


def make_sealer(proxy_id: str, settings: Settings, home: Home) -> Sealer:
    """The sealer of a process that writes evidence: the settings' suite, its own signing key. Raises ConfigError."""
    choice = Choice(settings.sealing.kdf, settings.sealing.aead)
    return Sealer(proxy_id, home.signing_key(proxy_id), home.unseal_public(), choice, home.unseal_public)


def verify(batch: SealedBatch, proxy_key: Ed25519PublicKey) -> None:
    """Raises ForgedError unless the batch was signed by the proxy it names."""
    try:
        proxy_key.verify(batch.signature, DOMAIN + _header_bytes(batch.header) + batch.ciphertext)
    except InvalidSignature:
        raise ForgedError(f"batch of proxy {batch.header.proxy_id!r} is not signed by it") from None


class Unsealer:
    """Opens batches with the unsealing keys it holds, by their names. Remembers a bounded number of epoch keys."""

    MAX_EPOCHS = 256

    def __init__(self, keys: Mapping[str, UnsealPrivate]) -> None:
        self._keys = dict(keys)
        self._epochs: dict[bytes, AESGCM] = {}

    def add_key(self, key: UnsealPrivate) -> None:
        """Make one more key available, e.g. one that arrived late."""
        self._keys[key.public_key().id] = key

    def unseal(self, batch: SealedBatch) -> bytes:
        """The plain Avro bytes. Raises KeyMissing (wait) or SealError (never opens)."""
        header = batch.header
        aead = self._epochs.get(header.wrapped_key) or self._unwrap(header)
        try:
            compressed = aead.decrypt(
                _nonce(header.partition, header.batch_seq), batch.ciphertext, _header_bytes(header)
            )
            return decompress(compressed)
        except (InvalidTag, OverflowError, ValueError, zstandard.ZstdError) as error:
            raise SealError(f"batch does not open: {type(error).__name__}") from None

    def _unwrap(self, header: SealedHeader) -> AESGCM:
        suite, name = suite_of(header.key_id)
        private = self._keys.get(name)
        if private is None:
            raise KeyMissing(f"no unsealing key {name}")
        try:
            aead = AESGCM(
                suite.decrypt(header.wrapped_key, private.handle, info=WRAP_INFO + header.proxy_epoch.encode())
            )
        except (InvalidTag, ValueError, TypeError) as error:  # TypeError: the suite of another kind of key
            raise SealError(f"epoch key does not unwrap: {type(error).__name__}") from None
        if len(self._epochs) >= self.MAX_EPOCHS:
            self._epochs.pop(next(iter(self._epochs)))
        self._epochs[header.wrapped_key] = aead
        return aead


def decompress(data: bytes) -> bytes:
    """zstd with a bound on what comes out. Raises ValueError or ZstdError."""
    if zstandard.frame_content_size(data) > MAX_BATCH_BYTES:
        raise ValueError("batch too large")
    return zstandard.ZstdDecompressor(max_window_size=MAX_BATCH_BYTES).decompress(data, max_output_size=MAX_BATCH_BYTES)
