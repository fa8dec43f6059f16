"""Sealed batches: confidential to the masking processor, authentic from the proxy.

One AES-256-GCM key per proxy epoch, wrapped to the masking processor's public key with HPKE (RFC 9180 base mode,
X25519, HKDF-SHA256, AES-256-GCM). Each batch: zstd, then AES-GCM with the header's Avro bytes as associated data and
nonce = partition (4 bytes) ‖ batch_seq (8 bytes), so no nonce repeats under an epoch's key. The proxy signs
domain ‖ header ‖ ciphertext with Ed25519.
"""

import hashlib
import os
from collections.abc import Mapping
from typing import Final

import zstandard
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.errors import ForgedError, KeyMissing, SealError
from schemas.events import Origin, SealedBatch, SealedHeader
from schemas.wire import avro, framing

SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
DOMAIN: Final = b"custody.sealed-batch.v1\x00"
WRAP_INFO: Final = b"custody.epoch-key.v1"
MAX_BATCH_BYTES: Final = 32 * 1024 * 1024
"""Largest plain batch that is opened: bounds what a hostile frame can make zstd allocate."""


def key_id_of(public: X25519PublicKey) -> str:
    """Names an unsealing key: the first 16 hex digits of SHA-256 over its raw public bytes."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]


def _nonce(partition: int, batch_seq: int) -> bytes:
    return partition.to_bytes(4, "big") + batch_seq.to_bytes(8, "big")


def _header_bytes(header: SealedHeader) -> bytes:
    return framing.encode_header(header)


class Sealer:
    """Seals a proxy epoch's batches. One per process start: the epoch and its key are made here and never stored."""

    def __init__(self, proxy_id: str, signing_key: Ed25519PrivateKey, unseal_public: X25519PublicKey) -> None:
        self.proxy_id = proxy_id
        self.epoch = os.urandom(16).hex()
        self._signing_key = signing_key
        self._key_id = key_id_of(unseal_public)
        epoch_key = AESGCM.generate_key(256)
        self._aead = AESGCM(epoch_key)
        self._wrapped = SUITE.encrypt(epoch_key, unseal_public, info=WRAP_INFO + self.epoch.encode())
        self._compressor = zstandard.ZstdCompressor(level=1)

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


def verify(batch: SealedBatch, proxy_key: Ed25519PublicKey) -> None:
    """Raises ForgedError unless the batch was signed by the proxy it names."""
    try:
        proxy_key.verify(batch.signature, DOMAIN + _header_bytes(batch.header) + batch.ciphertext)
    except InvalidSignature:
        raise ForgedError(f"batch of proxy {batch.header.proxy_id!r} is not signed by it") from None


class Unsealer:
    """Opens batches with the unsealing keys it holds, by key id. Remembers a bounded number of epoch keys."""

    MAX_EPOCHS = 256

    def __init__(self, keys: Mapping[str, X25519PrivateKey]) -> None:
        self._keys = dict(keys)
        self._epochs: dict[bytes, AESGCM] = {}

    def add_key(self, key: X25519PrivateKey) -> None:
        """Make one more key available, e.g. one that arrived late."""
        self._keys[key_id_of(key.public_key())] = key

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
        private = self._keys.get(header.key_id)
        if private is None:
            raise KeyMissing(f"no unsealing key {header.key_id}")
        try:
            aead = AESGCM(SUITE.decrypt(header.wrapped_key, private, info=WRAP_INFO + header.proxy_epoch.encode()))
        except (InvalidTag, ValueError) as error:
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
