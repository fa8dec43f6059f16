"""Maskers of orders, made once, and a way to run a rewriter over pieces."""

from functools import lru_cache

from masking.inline.model import MaskOrder, Rewriter
from masking.inline.values import ValueMasker, ValueMaskers
from tests.masking.helpers import masker

CARD = "4111111111111111"
EMAIL = "bob.smith@example.com"
PASSWORD = "hunter2hunter2"


@lru_cache(maxsize=1)
def maskers() -> ValueMaskers:
    return ValueMaskers(masker())


def order(**fields: object) -> ValueMasker:
    """A masker for an order of these fields."""
    return maskers().masker_for(MaskOrder(**fields))  # type: ignore[arg-type]


def run(rewriter: Rewriter, data: bytes, size: int = 1 << 30) -> bytes:
    """All that comes out of pieces of `size` bytes."""
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(map(rewriter.feed, pieces)) + rewriter.finish()
