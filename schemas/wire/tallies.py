"""What a derived batch says of each session in a Kafka header, so that who only counts need not read its events.

Mask walks over every event anyway. A batch in which a session closes has no such header, nor has one that was built
unusually: then the events are read.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from schemas.errors import RecordError

HEADER: Final = "custody-tallies"


@dataclass(slots=True)
class SessionTally:
    """Counts over one session's events, from `first_seq` on. `verdicts` leaves out `none`."""

    session_id: str
    first_seq: int
    verdicts: dict[str, int] = field(default_factory=dict)
    actions: int = 0
    rows: int = 0
    errors: int = 0
    masked: int = 0
    gaps: int = 0


def encode_tallies(tallies: list[SessionTally], events: int) -> bytes:
    """The header of a batch of so many events; sessions in the order in which they appear."""
    return orjson.dumps(
        [
            events,
            *([t.session_id, t.first_seq, t.verdicts, t.actions, t.rows, t.errors, t.masked, t.gaps] for t in tallies),
        ]
    )


def decode_tallies(data: bytes) -> tuple[list[SessionTally], int]:
    """What `encode_tallies` was given. Raises RecordError."""
    try:
        events, *items = orjson.loads(data)
        tallies = [SessionTally(*item) for item in items]
    except (ValueError, TypeError) as error:
        raise RecordError(f"the tallies of a batch cannot be read: {type(error).__name__}") from None
    if not _is_count(events) or not all(map(_is_sound, tallies)):
        raise RecordError("the tallies of a batch are none")
    return tallies, events


def _is_sound(tally: SessionTally) -> bool:
    numbers: list[Any] = [tally.actions, tally.errors, tally.masked, tally.gaps]
    return (
        isinstance(tally.session_id, str)
        and isinstance(tally.verdicts, dict)
        and all(map(_is_count, [*numbers, *tally.verdicts.values()]))
        and isinstance(tally.first_seq, int)
        and isinstance(tally.rows, int)
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and value >= 0
