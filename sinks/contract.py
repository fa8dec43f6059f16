"""What a sink is, and the words for delivery.

batch: the events of one origin, or one record of a side topic; never split, never merged.
ack: `write` returned and `save` has stored the progress. A batch without ack is delivered again after a restart.
back-pressure: `write` raises Unreachable; the runner says so, waits and delivers the same batches again. Nothing is
    dropped and no deadline ends the waiting. What is read ahead meanwhile is bounded in bytes (reader.py).

A sink makes a repeated write harmless: by coordinates where its peer can say what it has (the store), by an identity
that the receiver can compare where it cannot (syslog).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from schemas.config import Settings
from schemas.runtime import Home
from sinks.origins import Begin, Position
from sinks.reader import Batch, Decode
from sinks.records import Record

Positions = Mapping[str, Mapping[int, Position]]
"""Topic -> partition -> the last coordinates that are fully stored."""


class Sink(Protocol):
    """Takes batches of sessions and records of `side_topics`, in order per partition."""

    name: str  # as in run/<name>.json and `progress`
    component: str  # Kafka login
    begin: Begin
    is_skimming: bool  # whether a batch's tallies do, where its headers have them: its events are not read then
    side_topics: tuple[str, ...]
    max_events: int  # most events of one `write`, as long as batches can be that small
    interval_s: float  # least time between two writes under load; after a pause the first goes at once

    @property
    def enough_events(self) -> int:
        """So many that wait end the time between two writes."""

    @property
    def decode(self) -> Decode:
        """What `write` gets of each batch: its columns (sinks/columns.py), or something of the sink's own."""

    def load_progress(self) -> Positions:
        """Where to go on. Raises Unreachable."""

    def write(self, batches: Sequence[Batch[Any]]) -> None:
        """Store or send batches of sessions. Raises Unreachable; then the same batches come again."""

    def write_records(self, topic: str, records: Sequence[Record]) -> None:
        """Store or send records of a side topic. Raises Unreachable; then the same records come again."""

    def work(self, view: "InputView") -> None:
        """Called after every turn: acks, confirmations, orders. Raises Unreachable; then it is called again."""

    def describe(self) -> dict[str, object]:
        """Counters for run/<name>.json; `alarms`, by what they are about, show in `custody status`."""

    def close(self) -> None:
        """Give up connections; an orderly end saves what it can. Never raises."""


class InputView(Protocol):
    """What a sink may ask about its input while it works."""

    @property
    def is_idle(self) -> bool:
        """Whether the last turn brought nothing."""

    def is_past(self, ends: Mapping[int, int]) -> bool:
        """Whether every sessions record before these offsets was delivered to `write` or skipped as a repeat."""

    def is_at_end(self, topic: str) -> bool:
        """Whether every record of a side topic written before this call was delivered. Raises Unreachable."""


@dataclass(frozen=True, slots=True)
class SinkKind:
    """A line of the registry: how to build a sink, and whether the settings ask for it."""

    build: Callable[[Settings, Home], Sink]
    is_enabled: Callable[[Settings], bool] = lambda settings: True
