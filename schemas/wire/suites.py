"""HPKE suites (RFC 9180) and the unsealing keys they need, classical and hybrid post-quantum.

A key is its raw bytes, whose length says its kind: X25519, or ML-KEM-768 with X25519 (KEM 0x647a of
draft-ietf-hpke-pq, "X-Wing"), which stays confidential as long as one of the two holds. The suite of a wrapped key
travels in the batch's key id: `<kem>-<kdf>-<aead>:<key>`, four hexadecimal digits of each IANA number, then the key's
name; the key's name alone stands for X25519, HKDF-SHA256, AES-256-GCM.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from schemas.errors import KeyMissing

MLKEM_SEED_BYTES: Final = 64
MLKEM_PUBLIC_BYTES: Final = 1184
X25519_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Kem:
    """One kind of unsealing key: IANA number, sizes of its raw halves, and how they are made and read."""

    name: str
    number: int
    kem: hpke.KEM
    private_bytes: int
    public_bytes: int
    generate: Callable[[], bytes]
    load_private: Callable[[bytes], Any]
    load_public: Callable[[bytes], Any]
    public_of: Callable[[bytes], bytes]


def _make_hybrid() -> bytes:
    return MLKEM768PrivateKey.generate().private_bytes_raw() + X25519PrivateKey.generate().private_bytes_raw()


def _split(raw: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    seed, scalar = raw[:MLKEM_SEED_BYTES], raw[MLKEM_SEED_BYTES:]
    return MLKEM768PrivateKey.from_seed_bytes(seed), X25519PrivateKey.from_private_bytes(scalar)


def _hybrid_public_of(raw: bytes) -> bytes:
    lattice, curve = _split(raw)
    return lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()


def _load_hybrid_public(raw: bytes) -> hpke.MLKEM768X25519PublicKey:
    return hpke.MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(raw[:MLKEM_PUBLIC_BYTES]),
        X25519PublicKey.from_public_bytes(raw[MLKEM_PUBLIC_BYTES:]),
    )


X25519: Final = Kem(
    "x25519",
    0x0020,
    hpke.KEM.X25519,
    X25519_BYTES,
    X25519_BYTES,
    lambda: X25519PrivateKey.generate().private_bytes_raw(),
    X25519PrivateKey.from_private_bytes,
    X25519PublicKey.from_public_bytes,
    lambda raw: X25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw(),
)
HYBRID: Final = Kem(
    "mlkem768-x25519",
    0x647A,
    hpke.KEM.MLKEM768_X25519,
    MLKEM_SEED_BYTES + X25519_BYTES,
    MLKEM_PUBLIC_BYTES + X25519_BYTES,
    _make_hybrid,
    lambda raw: hpke.MLKEM768X25519PrivateKey(*_split(raw)),
    _load_hybrid_public,
    _hybrid_public_of,
)
KEMS: Final[Mapping[str, Kem]] = {kem.name: kem for kem in (X25519, HYBRID)}
KDFS: Final[Mapping[str, tuple[int, hpke.KDF]]] = {
    "hkdf-sha256": (0x0001, hpke.KDF.HKDF_SHA256),
    "hkdf-sha384": (0x0002, hpke.KDF.HKDF_SHA384),
    "hkdf-sha512": (0x0003, hpke.KDF.HKDF_SHA512),
}
AEADS: Final[Mapping[str, tuple[int, hpke.AEAD]]] = {
    "aes-256-gcm": (0x0002, hpke.AEAD.AES_256_GCM),
    "chacha20-poly1305": (0x0003, hpke.AEAD.CHACHA20_POLY1305),
}


@dataclass(frozen=True, slots=True)
class UnsealPublic:
    """The half that proxies have: who has it can seal, and nothing else."""

    kem: Kem = field(compare=False)
    raw: bytes = field(repr=False)
    handle: Any = field(repr=False, compare=False)

    @property
    def id(self) -> str:
        """Names the key: the first 16 hex digits of SHA-256 over its raw bytes."""
        return hashlib.sha256(self.raw).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class UnsealPrivate:
    """The half that only mask has."""

    kem: Kem = field(compare=False)
    raw: bytes = field(repr=False)
    handle: Any = field(repr=False, compare=False)

    def public_key(self) -> UnsealPublic:
        """Its other half."""
        return public_from(self.kem.public_of(self.raw))


def public_from(raw: bytes) -> UnsealPublic:
    """A public key from its raw bytes. Raises ValueError when they are of no known kind."""
    kem = next((kem for kem in KEMS.values() if len(raw) == kem.public_bytes), None)
    if kem is None:
        raise ValueError(f"no unsealing key has a public half of {len(raw)} bytes")
    return UnsealPublic(kem, raw, kem.load_public(raw))


def private_from(raw: bytes) -> UnsealPrivate:
    """A private key from its raw bytes. Raises ValueError when they are of no known kind."""
    kem = next((kem for kem in KEMS.values() if len(raw) == kem.private_bytes), None)
    if kem is None:
        raise ValueError(f"no unsealing key has {len(raw)} bytes")
    return UnsealPrivate(kem, raw, kem.load_private(raw))


@dataclass(frozen=True, slots=True)
class Choice:
    """The two parts of a suite that are free for any key."""

    kdf: str = "hkdf-sha256"
    aead: str = "aes-256-gcm"


DEFAULT: Final = Choice()
_DEFAULT_NUMBERS: Final = (X25519.number, KDFS[DEFAULT.kdf][0], AEADS[DEFAULT.aead][0])
_KEY_ID: Final = re.compile(r"(?:([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4}):)?([0-9a-f]{16})")
_KEM_OF: Final = {kem.number: kem.kem for kem in KEMS.values()}
_KDF_OF: Final = dict(KDFS.values())
_AEAD_OF: Final = dict(AEADS.values())


def suite_for(public: UnsealPublic, choice: Choice) -> tuple[hpke.Suite, str]:
    """The suite with which to wrap to a key, and the key id that says so."""
    (kdf_number, kdf), (aead_number, aead) = KDFS[choice.kdf], AEADS[choice.aead]
    suite = hpke.Suite(public.kem.kem, kdf, aead)
    numbers = (public.kem.number, kdf_number, aead_number)
    if numbers == _DEFAULT_NUMBERS:
        return suite, public.id
    return suite, "-".join(f"{number:04x}" for number in numbers) + f":{public.id}"


def suite_of(key_id: str) -> tuple[hpke.Suite, str]:
    """The suite and the key's name of a key id. Raises KeyMissing: a later version may know what this one does not."""
    match = _KEY_ID.fullmatch(key_id)
    if match is None:
        raise KeyMissing(f"key id {key_id[:60]!r} is of no form that this version knows")
    numbers = tuple(int(part, 16) for part in match.groups()[:3]) if match[1] else _DEFAULT_NUMBERS
    kem, kdf, aead = _KEM_OF.get(numbers[0]), _KDF_OF.get(numbers[1]), _AEAD_OF.get(numbers[2])
    if kem is None or kdf is None or aead is None:
        raise KeyMissing(f"HPKE suite {key_id.partition(':')[0]} is unknown to this version")
    return hpke.Suite(kem, kdf, aead), match[4]
