"""Remembers what masking made of values and of small results seen lately: agents read the same again and again.

Values are not kept: the memory is keyed by digests under a key of this process, and holds what the agent gets.
Compiled where a C compiler is at hand (deploy/native.py).
"""

import os
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from masking.inline.model import Report
from masking.model import MaskedBytes
from masking.tokens import Digest

MAX_VALUES: Final = 4096
"""Beyond, the memory begins anew."""

MAX_VALUE_BYTES: Final = 512
"""Longer values are looked at each time."""

MAX_RESULTS: Final = 512
"""Beyond, the memory of results begins anew."""

MAX_RESULT_BYTES: Final = 8192
"""Longer results are masked each time."""

_KEY_BYTES: Final = 64

# (digest of the value, the name that tells what it is, whether all of it goes)
Key = tuple[bytes, str, bool]


class _Bounded[K, V]:
    """Outcomes by keys; beyond `most` of them it begins anew."""

    __slots__ = ("_known", "_most", "_new_digest")

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[K, V] = {}
        # Digests under a key of its own: a whole block of SHA-256, for which processors have instructions and which
        # tokens are made with as well. A copy of a state that has taken in the key costs a third of a new one.
        self._new_digest: Callable[[], Digest] = sha256(os.urandom(_KEY_BYTES)).copy

    def keep(self, key: K, outcome: V) -> None:
        """Remember an outcome."""
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[key] = outcome

    def forget(self) -> None:
        """All of them."""
        self._known.clear()

    def __len__(self) -> int:
        return len(self._known)


class Memo(_Bounded[Key, MaskedBytes | None]):
    """Outcomes of one order under one token key. `forget` them when the token key changes."""

    __slots__ = ()

    def __init__(self, max_values: int = MAX_VALUES) -> None:
        super().__init__(max_values)

    def key_of(self, value: bytes, name: str, *, is_whole: bool) -> Key:
        """Under which the outcome of a value is kept. `name`: empty unless the outcome depends on it."""
        digest = self._new_digest()
        digest.update(value)
        return digest.digest(), name, is_whole

    def find(self, key: Key) -> tuple[MaskedBytes | None] | None:
        """The outcome, in a tuple; None when it is not known."""
        known = self._known
        return (known[key],) if key in known else None


class Outcome:
    """What became of a result: its masked bytes, None when nothing had to change, and what was reported."""

    __slots__ = ("masked", "report")

    def __init__(self, masked: bytes | None, report: Report) -> None:
        self.masked = masked
        self.report = report


class ResultMemo(_Bounded[bytes, Outcome]):
    """Outcomes of whole results of one order under one token key. `forget` them when the token key changes."""

    __slots__ = ()

    def __init__(self, max_results: int = MAX_RESULTS) -> None:
        super().__init__(max_results)

    def key_of(self, form: bytes, data: bytes) -> bytes:
        """Under which the outcome of a result is kept. `form`: all that it depends on besides the result's bytes."""
        digest = self._new_digest()
        digest.update(b"%d " % len(form))
        digest.update(form)
        digest.update(data)
        return digest.digest()

    def find(self, key: bytes) -> Outcome | None:
        """The outcome; None when it is not known."""
        return self._known.get(key)
