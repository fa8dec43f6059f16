"""Remembers what masking made of values seen lately: agents read the same rows again and again.

Values are not kept: the memory is keyed by digests under a key of this process, and holds what the agent gets.
"""

import os
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from masking.model import MaskedBytes

MAX_VALUES: Final = 4096
"""Beyond, the memory begins anew."""

MAX_VALUE_BYTES: Final = 512
"""Longer values are looked at each time."""

_DIGEST_BYTES: Final = 16

# (digest of the value, the name that tells what it is, whether all of it goes)
Key = tuple[bytes, str, bool]


class Memo:
    """Outcomes of one order under one token key. `forget` them when the token key changes."""

    __slots__ = ("_known", "_new_digest")

    def __init__(self) -> None:
        self._known: dict[Key, MaskedBytes | None] = {}
        # A copy of a state that has taken in the key costs a third of a new one.
        self._new_digest: Callable[[], blake2b] = blake2b(digest_size=_DIGEST_BYTES, key=os.urandom(32)).copy

    def key_of(self, value: bytes, name: str, *, is_whole: bool) -> Key:
        """Under which the outcome of a value is kept. `name`: empty unless the outcome depends on it."""
        digest = self._new_digest()
        digest.update(value)
        return digest.digest(), name, is_whole

    def find(self, key: Key) -> tuple[MaskedBytes | None] | None:
        """The outcome, in a tuple; None when it is not known."""
        known = self._known
        return (known[key],) if key in known else None

    def keep(self, key: Key, outcome: MaskedBytes | None) -> None:
        """Remember an outcome."""
        if len(self._known) >= MAX_VALUES:
            self._known.clear()
        self._known[key] = outcome

    def forget(self) -> None:
        """All of them."""
        self._known.clear()

    def __len__(self) -> int:
        return len(self._known)
