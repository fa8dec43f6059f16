"""The `progress` table: how far each sink has stored its input. Append-only; the highest offset counts."""

from collections.abc import Mapping
from typing import Final

from sinks.clickhouse.client import StoreClient
from sinks.origins import Position

WITNESSED: Final = "transparency.witnessed"
"""Name of the rows that say up to where retention actions are under a checkpoint that the quorum signed."""

INTENT: Final = ".intent"
"""Suffix of the name under which a sink writes down what it is about to store."""


class ProgressLedger:
    """The rows of one name: usually a sink, or a sink and the topic it reads besides sessions."""

    def __init__(self, store: StoreClient, name: str) -> None:
        self._store = store
        self.name = name

    def read(self) -> dict[int, Position]:
        """The highest offset of each partition. Raises Unreachable."""
        return self._read(self.name)

    def read_intents(self) -> dict[int, Position]:
        """Where the last announced write of each partition was to end. Raises Unreachable."""
        return self._read(self.name + INTENT)

    def write(self, positions: Mapping[int, Position], intents: Mapping[int, Position] | None = None) -> None:
        """Both in one INSERT, which is one commit: `progress` has no store partitions. Raises Unreachable."""
        rows = [(self.name, p.log_id, partition, p.offset) for partition, p in positions.items()]
        rows += [(self.name + INTENT, p.log_id, partition, p.offset) for partition, p in (intents or {}).items()]
        if rows:
            columns = zip(*rows, strict=True)
            self._store.insert("progress", dict(zip(("sink", "log_id", "partition", "offset"), columns, strict=True)))

    def _read(self, name: str) -> dict[int, Position]:
        """In the log that was written to last, should there have been several."""
        sql = """SELECT partition, log_id, max(offset) FROM custody.progress
            WHERE sink = {sink:String} GROUP BY partition, log_id ORDER BY max(written_at)"""
        return {partition: Position(log_id, offset) for partition, log_id, offset in self._store.query(sql, sink=name)}
