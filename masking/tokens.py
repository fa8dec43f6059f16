"""Keyed tokens for masked values, and keyed digests for bytes that are counted but not kept.

Two keys, never the same: whoever may compare digests of payloads must not be able to test guesses for tokens.
"""

import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, Protocol

from librt.strings import read_i32_be, read_i64_be
from mypy_extensions import i64

KEY_BYTES: Final = 32
TOKEN_CHARS: Final = 16  # 80 bits: no two of 10^9 values are likely to share one
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS: Final = [first + second for first in _ALPHABET for second in _ALPHABET]
_BLOCK_BYTES: Final = 64  # of SHA-256; the pads are those of RFC 2104
_INNER_PAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = bytes(byte ^ 0x5C for byte in range(256))


class Digest(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...
    def digest(self) -> bytes: ...


class _Keyed:
    """HMAC-SHA-256 under one key, of a whole value. The key is hashed once: that halves the cost of a short value."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        padded = key.ljust(_BLOCK_BYTES, b"\0")
        self._inner = sha256(padded.translate(_INNER_PAD))
        self._outer = sha256(padded.translate(_OUTER_PAD))

    def begin(self) -> "_KeyedDigest":
        """The same of a value that comes in pieces."""
        return _KeyedDigest(self)

    def text(self, value: bytes) -> str:
        """The first 80 bits in base32, in small letters."""
        inner = self._inner.copy()
        inner.update(value)
        outer = self._outer.copy()
        outer.update(inner.digest())
        digest = outer.digest()
        first: i64 = read_i64_be(digest, 0)  # both fit a register: of one number of 80 bits each shift made a new one
        last: i64 = (first & 15) << 16 | (i64(read_i32_be(digest, 8)) >> 16 & 0xFFFF)
        pairs = _PAIRS
        return (
            f"{pairs[first >> 54 & 1023]}{pairs[first >> 44 & 1023]}{pairs[first >> 34 & 1023]}"
            f"{pairs[first >> 24 & 1023]}{pairs[first >> 14 & 1023]}{pairs[first >> 4 & 1023]}"
            f"{pairs[last >> 10]}{pairs[last & 1023]}"
        )


class TokenKey:
    """Turns a value into a stable token. `key` is at least 32 random bytes."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        self._keyed = _Keyed(_checked(key, b"custody token v1"))

    def token(self, value: bytes) -> str:
        """16 characters of a-z2-7: the truncated base32 of HMAC-SHA-256 over `value`."""
        return self._keyed.text(value)

    def __repr__(self) -> str:
        return "TokenKey(…)"


class TokenRing:
    """The token key in use and the older ones. New values get tokens of the first; all are known to whoever traces.

    `replace` may be called at any time: a value is masked under the old ring or under the new one, never in between.
    """

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = _token_keys(keys)

    def token(self, value: bytes) -> str:
        """The token under the key in use, see `TokenKey`."""
        return self._keys[0].token(value)

    def tokens(self, value: bytes) -> list[str]:
        """The token under each key, the one in use first."""
        return [key.token(value) for key in self._keys]

    def replace(self, keys: Sequence[bytes]) -> None:
        """From now on these keys, the one in use first."""
        self._keys = _token_keys(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"TokenRing({len(self._keys)} keys)"


class FlowKey:
    """Fingerprints of values that no detector knows, for data-flow detection: never the same as a value's token."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        self._keyed = _Keyed(_checked(key, b"custody flow v1"))

    def fingerprint(self, value: bytes) -> str:
        """16 characters of a-z2-7, stable under one key."""
        return self._keyed.text(value)

    def __repr__(self) -> str:
        return "FlowKey(…)"


class _KeyedDigest:
    """HMAC-SHA-256 of a payload that comes in pieces. hmac's own objects take twice the time for a short one."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, keyed: _Keyed) -> None:
        self._inner = keyed._inner.copy()
        self._outer = keyed._outer

    def update(self, data: bytes | memoryview, /) -> None:
        self._inner.update(data)

    def digest(self) -> bytes:
        outer = self._outer.copy()
        outer.update(self._inner.digest())
        return outer.digest()

    def hexdigest(self) -> str:
        return self.digest().hex()


class DigestKey:
    """Makes keyed digests of unmasked bytes. `key` is at least 32 random bytes."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        self._keyed = _Keyed(_checked(key, b"custody digest v1"))

    def digest(self, data: bytes = b"") -> Digest:
        """An incremental HMAC-SHA-256: `update()` it with the payload, then `hexdigest()`."""
        made = self._keyed.begin()
        if data:
            made.update(data)
        return made

    def __repr__(self) -> str:
        return "DigestKey(…)"


def _token_keys(keys: Sequence[bytes]) -> tuple[TokenKey, ...]:
    if not keys:
        raise ValueError("a token ring holds at least one key")
    return tuple(TokenKey(key) for key in keys)


def _checked(key: bytes, purpose: bytes) -> bytes:
    """A key of its own for each purpose, so that one key file used for both by mistake still separates them."""
    if len(key) < KEY_BYTES:
        raise ValueError(f"a masking key needs at least {KEY_BYTES} bytes, this one has {len(key)}")
    return hmac.digest(key, purpose, "sha256")
