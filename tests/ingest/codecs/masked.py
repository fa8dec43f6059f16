"""What the tests of masked PostgreSQL answers share."""

from struct import pack
from typing import Any

from masking.inline.model import MaskOrder
from masking.inline.values import ValueMasker, ValueMaskers
from tests.masking.helpers import masker

EMAIL = b"bob.smith@example.com"
CARD = b"4111111111111111"
MASKERS = ValueMaskers(masker())


def order(**fields: Any) -> ValueMasker:
    return MASKERS.masker_for(MaskOrder(**fields))


def data_row(*values: bytes | None) -> bytes:
    """A DataRow message."""
    body = pack("!H", len(values))
    body += b"".join(pack("!i", -1) if v is None else pack("!i", len(v)) + v for v in values)
    return b"D" + pack("!I", len(body) + 4) + body
