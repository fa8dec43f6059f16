"""Stores batches as rows of `events` and `sessions`, and records as rows of `detections`, `lineage` and
`retention_actions`.

Each function here is a `StoreRows` of ranges.py: all rows of the items under one deduplication token, or, when it is in
doubt what the store has, only those that it does not have, found by their coordinates.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from schemas.errors import RecordError
from schemas.events import Detection, LineageEdge, RetentionAction
from schemas.wire import framing
from sinks.clickhouse.client import StoreClient, Table
from sinks.clickhouse.ranges import ranges_of
from sinks.clickhouse.rows import detection_rows, event_rows, lineage_rows, pick_rows, retention_rows, session_rows
from sinks.reader import Batch
from sinks.records import Record

DAY_US: Final = 86_400_000_000
MAX_STORE_PARTITIONS: Final = 50
"""ClickHouse refuses an INSERT into more than 100 partitions (class, day) at once."""

_log = logging.getLogger(__name__)


class EventWriter:
    """Batches into `events` and `sessions`."""

    def __init__(self, store: StoreClient) -> None:
        self._store = store
        self.rows = 0
        self.spared = 0  # rows that a comparison found in the store already

    def store_rows(self, batches: Sequence[Batch], token: str, is_in_doubt: bool) -> None:
        events: Table = event_rows(batches)
        sessions: Table = session_rows(batches)
        if is_in_doubt:
            events = self._without_stored("events", events, batches)
            sessions = self._without_stored("sessions", sessions, batches)
        for part in split_by_store_partition(events, "at"):
            self._store.insert("events", part, token)
        for part in split_by_store_partition(sessions, "opened_at"):
            self._store.insert("sessions", part, token)
        self.rows += len(events["position"])

    def find_ends(self, first: int) -> dict[tuple[str, int], int]:
        """The highest origin, from `first` on, of which any row is stored, by log and partition."""
        sql = """SELECT log_id, partition, max(offset) FROM custody.events
            WHERE offset >= {first:UInt64} GROUP BY log_id, partition"""
        return {(log_id, partition): last for log_id, partition, last in self._store.query(sql, first=first)}

    def _without_stored(self, table: str, rows: Table, batches: Sequence[Batch]) -> Table:
        """The rows whose (origin, position) the table does not have yet."""
        stored: set[tuple[Any, ...]] = set()
        for partition, range_ in ranges_of(batches).items():
            # The table's name is one of the two above.
            sql = f"""SELECT partition, offset, position FROM custody.{table}
                WHERE log_id = {{log_id:String}} AND partition = {{partition:UInt32}}
                AND offset >= {{first:UInt64}} AND offset <= {{last:UInt64}}"""  # noqa: S608
            found = self._store.query(
                sql, log_id=range_.log_id, partition=partition, first=range_.first, last=range_.last
            )
            stored.update(found)
        if not stored:
            return rows
        coordinates = zip(rows["partition"], rows["offset"], rows["position"], strict=True)
        missing = [i for i, coordinate in enumerate(coordinates) if coordinate not in stored]
        self.spared += len(rows["position"]) - len(missing)
        _log.info("%s: %d rows in doubt are stored, %d are missing", table, len(stored), len(missing))
        return pick_rows(rows, missing)


def split_by_store_partition(rows: Table, at: str) -> list[Table]:
    """The rows in as many INSERTs as the store's limit of partitions asks for: one, except after a long backlog."""
    days = [time // DAY_US for time in rows[at]]
    partitions = sorted(set(zip(rows["retention_class"], days, strict=True)))
    if not partitions:
        return []
    if len(partitions) <= MAX_STORE_PARTITIONS:
        return [rows]
    group = {partition: number // MAX_STORE_PARTITIONS for number, partition in enumerate(partitions)}
    groups: list[list[int]] = [[] for _ in range(max(group.values()) + 1)]
    for i, partition in enumerate(zip(rows["retention_class"], days, strict=True)):
        groups[group[partition]].append(i)
    return [pick_rows(rows, chosen) for chosen in groups]


class RecordWriter[R: Detection | LineageEdge | RetentionAction]:
    """Records of one type into one table. Other types in the topic (progress of its writer) are passed over."""

    def __init__(
        self,
        store: StoreClient,
        table: str,
        kind: type[R],
        make_rows: Callable[[Sequence[tuple[Record, R]]], Table],
        key: Callable[[Record, R], tuple[Any, ...]],
        find_stored: Callable[[StoreClient, Sequence[tuple[Record, R]]], set[tuple[Any, ...]]],
        *,
        names_unreadable: bool = True,
    ) -> None:
        self._names_unreadable = names_unreadable
        self.rows = 0
        self.unreadable = 0
        self._store = store
        self._table = table
        self._kind = kind
        self._make_rows = make_rows
        self._key = key
        self._find_stored = find_stored

    def store_rows(self, records: Sequence[Record], token: str, is_in_doubt: bool) -> None:
        """Always compared: the writer of the topic may send the same record twice."""
        items = self.read(records)
        if not items:
            return
        known = self._find_stored(self._store, items)
        fresh: list[tuple[Record, R]] = []
        for record, item in items:
            key = self._key(record, item)
            if key not in known:
                known.add(key)
                fresh.append((record, item))
        if fresh:
            self._store.insert(self._table, self._make_rows(fresh), token)
            self.rows += len(fresh)

    def read(self, records: Sequence[Record]) -> list[tuple[Record, R]]:
        """The records of this writer's type, decoded; one that cannot be read is counted and named."""
        items: list[tuple[Record, R]] = []
        for record in records:
            try:
                item = framing.decode(record.data)
            except RecordError as error:
                if not self._names_unreadable:  # another writer of the same topic does
                    continue
                self.unreadable += 1
                _log.error("alarm: %s[%d] offset %d: %s", record.topic, record.partition, record.offset, error)
                continue
            if isinstance(item, self._kind):
                items.append((record, item))
        return items


def _stored_detections(store: StoreClient, items: Sequence[tuple[Record, Detection]]) -> set[tuple[Any, ...]]:
    sql = "SELECT detection_id FROM custody.detections WHERE has({ids:Array(String)}, detection_id)"
    return set(store.query(sql, ids=[detection.detection_id for _, detection in items]))


def _stored_actions(store: StoreClient, items: Sequence[tuple[Record, RetentionAction]]) -> set[tuple[Any, ...]]:
    records = [record for record, _ in items]
    sql = """SELECT log_id, partition, offset FROM custody.retention_actions
        WHERE has({logs:Array(String)}, log_id) AND offset >= {first:UInt64}"""
    logs = sorted({record.log_id for record in records})
    return set(store.query(sql, logs=logs, first=min(record.offset for record in records)))


def make_detection_writer(store: StoreClient) -> RecordWriter[Detection]:
    """Detections, each detection_id once."""
    return RecordWriter(
        store, "detections", Detection, detection_rows, lambda _, item: (item.detection_id,), _stored_detections
    )


def _stored_edges(store: StoreClient, items: Sequence[tuple[Record, LineageEdge]]) -> set[tuple[Any, ...]]:
    sql = "SELECT edge_id FROM custody.lineage WHERE has({ids:Array(String)}, edge_id)"
    return set(store.query(sql, ids=[edge.edge_id for _, edge in items]))


def make_lineage_writer(store: StoreClient) -> RecordWriter[LineageEdge]:
    """Lineage edges, each edge_id once; they come from the topic of the detections."""
    return RecordWriter(
        store,
        "lineage",
        LineageEdge,
        lineage_rows,
        lambda _, item: (item.edge_id,),
        _stored_edges,
        names_unreadable=False,
    )


def make_retention_writer(store: StoreClient) -> RecordWriter[RetentionAction]:
    """Retention actions, each record once."""

    def key(record: Record, _: RetentionAction) -> tuple[Any, ...]:
        return (record.log_id, record.partition, record.offset)

    return RecordWriter(store, "retention_actions", RetentionAction, retention_rows, key, _stored_actions)
