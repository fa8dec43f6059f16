"""The compiled detectors of a run: compiling takes seconds, and many tests make a masker of their own."""

from typing import Final

from masking.engine import Masker
from masking.prefilter import Kept
from masking.tokens import TokenKey


class Memory:
    """A `Kept` in memory."""

    def __init__(self) -> None:
        self.databases: dict[str, bytes] = {}

    def load(self, name: str) -> bytes | None:
        return self.databases.get(name)

    def keep(self, name: str, data: bytes) -> None:
        self.databases[name] = data


COMPILED: Final = Memory()


def keep_compiled(kept: Kept) -> None:
    """Put the compiled detectors where a process of the product looks for them."""
    Masker(tokens=TokenKey(bytes(32)), kept=COMPILED)
    for name, database in COMPILED.databases.items():
        kept.keep(name, database)
