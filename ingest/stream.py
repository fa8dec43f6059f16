"""How far an open-ended action may run ahead of its record (design: `max_unrecorded_bytes`)."""

from dataclasses import dataclass, field

from ingest.codecs.base import Side
from masking.tokens import Digest

SEGMENTS = 4
"""A stream is recorded each quarter of the limit; a piece needs the record two segments back, so it never runs more
than the limit past the last durable record, and never waits for a record that is not on its way."""


@dataclass(slots=True)
class Stream:
    """One direction of one open-ended action."""

    source: Side
    floor: int  # ticket that the pieces of this segment wait for
    latest: int  # ticket of the last progress record
    budget: int  # content bytes that may still be kept
    total: int = 0
    unrecorded: int = 0
    kept: bytearray = field(default_factory=bytearray)
    digest: Digest | None = None

    def take(self, data: bytes | memoryview) -> None:
        """Count bytes and keep what the budget allows."""
        size = len(data)
        self.total += size
        self.unrecorded += size
        if self.digest is not None:
            self.digest.update(data)
        if self.budget > 0:
            part = data[: self.budget]
            self.kept += part
            self.budget -= len(part)

    def recorded(self, ticket: int) -> None:
        """A progress record was made: the next segment waits for the one before it."""
        self.floor, self.latest = self.latest, ticket
        self.unrecorded = 0
        self.kept = bytearray()
