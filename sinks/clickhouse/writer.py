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
from sinks.clickhouse.event_rows import EventEncoder, EventRows, Partition
from sinks.clickhouse.ranges import ranges_of
from sinks.clickhouse.rows import detection_rows, lineage_rows, pick_rows, retention_rows, session_rows
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
        self._encoder = EventEncoder()
        self.rows = 0
        self.spared = 0  # rows that a comparison found in the store already

    def store_rows(self, batches: Sequence[Batch], token: str, is_in_doubt: bool) -> None:
        events: EventRows = EventRows(batches)
        sessions: Table = session_rows(batches)
        if is_in_doubt:
            coordinates = list(events.coordinates())
            if (missing := self._find_missing("events", coordinates, batches)) is not None:
                events = events.pick(missing)
            coordinates = list(zip(*(sessions[name] for name in ("partition", "offset", "position")), strict=True))
            if (missing := self._find_missing("sessions", coordinates, batches)) is not None:
                sessions = pick_rows(sessions, missing)
        for part in split_by_store_partition(events.partitions()):
            self._store.insert("events", self._encoder.encode(events.pick(part) if part else events), token)
        classes = zip(sessions["retention_class"], (at // DAY_US for at in sessions["opened_at"]), strict=True)
        for part in split_by_store_partition(list(classes)):
            self._store.insert("sessions", pick_rows(sessions, part) if part else sessions, token)
        self.rows += len(events)

    def find_ends(self, first: int) -> dict[tuple[str, int], int]:
        """The highest origin, from `first` on, of which any row is stored, by log and partition."""
        sql = """SELECT log_id, partition, max(offset) FROM custody.events
            WHERE offset >= {first:UInt64} GROUP BY log_id, partition"""
        return {(log_id, partition): last for log_id, partition, last in self._store.query(sql, first=first)}

    def _find_missing(
        self, table: str, coordinates: Sequence[tuple[Any, ...]], batches: Sequence[Batch]
    ) -> list[int] | None:
        """Which of the rows with these (partition, offset, position) are not stored yet; None when none of them is."""
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
            return None
        missing = [i for i, coordinate in enumerate(coordinates) if coordinate not in stored]
        self.spared += len(coordinates) - len(missing)
        _log.info("%s: %d rows in doubt are stored, %d are missing", table, len(stored), len(missing))
        return missing


def split_by_store_partition(rows: Sequence[Partition]) -> list[list[int]]:
    """Which rows go into which INSERT, none for none; an empty list stands for all rows.

    The store limits the partitions of an INSERT: that takes more than one after a long backlog only.
    """
    partitions = sorted(set(rows))
    if len(partitions) <= MAX_STORE_PARTITIONS:
        return [[]] if partitions else []
    group = {partition: number // MAX_STORE_PARTITIONS for number, partition in enumerate(partitions)}
    groups: list[list[int]] = [[] for _ in range(max(group.values()) + 1)]
    for i, partition in enumerate(rows):
        groups[group[partition]].append(i)
    return groups


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
