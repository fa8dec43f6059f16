"""The ClickHouse sink: sessions, detections and retention into the store, and EXPIRE orders carried out on it."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Final

from confluent_kafka import Consumer, Producer

from schemas.config import Settings
from schemas.errors import Unreachable
from schemas.events import RetentionAction
from schemas.runtime import Home, now_us
from schemas.topics import DETECTIONS, RETENTION, SESSIONS
from schemas.wire import framing
from schemas.wire.holds import HoldReader
from schemas.wire.kafka import partition_count, producer_config, reader_config, watermarks, write_durably
from sinks.clickhouse.client import StoreClient
from sinks.clickhouse.event_pieces import EncodedBatch, PieceEncoder
from sinks.clickhouse.expiry import Expiry
from sinks.clickhouse.progress import WITNESSED, ProgressLedger
from sinks.clickhouse.ranges import RangeWriter
from sinks.clickhouse.writer import EventWriter, make_detection_writer, make_lineage_writer, make_retention_writer
from sinks.contract import InputView, Positions
from sinks.origins import Begin
from sinks.reader import Batch, Decode
from sinks.records import Record

NAME: Final = "clickhouse"
COMPONENT: Final = "sink-clickhouse"
ANSWER_TIMEOUT_S: Final = 10.0
LATE_S: Final = 15.0
"""Rows older than this are a backlog's: nobody waits for them, so INSERTs are filled, and fewer parts are merged."""


class ClickHouseSink:
    """See sinks/contract.py."""

    name: str = NAME
    component: str = COMPONENT
    begin = Begin.COMPLETE
    is_skimming = False
    side_topics: tuple[str, ...] = (DETECTIONS, RETENTION)

    def __init__(self, settings: Settings, home: Home) -> None:
        self.max_events = settings.store.insert_rows
        self._is_late = False
        self.interval_s = settings.store.insert_interval_ms / 1000
        self._pieces = PieceEncoder()  # works in the reader's thread
        self._producer_config = producer_config(settings, home, COMPONENT) | {"message.timeout.ms": 8000}
        self._reader_config = reader_config(settings, home, COMPONENT)
        self._producer: Producer | None = None
        self._store = StoreClient(settings, home, "writer")
        self._retention_store = StoreClient(settings, home, "retention")
        self._events = EventWriter(self._store)
        self._detections = make_detection_writer(self._store)
        self._lineage = make_lineage_writer(self._store)
        self._actions = make_retention_writer(self._store)
        self._sessions_log = RangeWriter(
            ProgressLedger(self._store, NAME), self._events.store_rows, self._events.find_ends
        )
        self._side_logs = {
            DETECTIONS: RangeWriter(ProgressLedger(self._store, f"{NAME}.detections"), self._store_findings),
            RETENTION: RangeWriter(ProgressLedger(self._store, f"{NAME}.retention"), self._actions.store_rows),
        }
        self._requires_log, self._waits_for_log = settings.retention.require_log, False
        self._witnessed = ProgressLedger(self._store, WITNESSED)
        self._holds = HoldReader(settings, home, COMPONENT)
        self._expiry = Expiry(
            self._store,
            self._retention_store,
            settings.retention,
            self._publish,
            self._read_session_ends,
            self._holds.read,
        )

    def load_progress(self) -> Positions:
        positions = {SESSIONS: self._sessions_log.load()}
        positions |= {topic: log.load() for topic, log in self._side_logs.items()}
        self._expiry.load()
        return positions

    @property
    def decode(self) -> Decode:
        return self._pieces.decode

    @property
    def enough_events(self) -> int:
        """Half an INSERT, a whole one while a backlog is stored."""
        return self.max_events if self._is_late else self.max_events // 2

    def write(self, batches: Sequence[Batch[EncodedBatch]]) -> None:
        self._sessions_log.write(batches)
        newest = max((batch.decoded.last_at for batch in batches), default=0)
        self._is_late = newest < now_us() - LATE_S * 1_000_000

    def write_records(self, topic: str, records: Sequence[Record]) -> None:
        self._side_logs[topic].write(records)
        if topic == RETENTION:
            for _, action in self._actions.read(records):
                self._expiry.note(action)

    def work(self, view: InputView) -> None:
        logs = [self._sessions_log, *self._side_logs.values()]
        for log in logs:
            log.work()
        if view.is_idle or self._expiry.orders:
            for log in logs:
                log.save()
        if self._expiry.orders and all(log.is_settled for log in logs) and view.is_at_end(RETENTION):
            self._waits_for_log = self._requires_log and not self._is_witnessed()
            if not self._waits_for_log:
                self._expiry.work(view.is_past)

    def describe(self) -> dict[str, object]:
        return {
            "progress": {
                str(partition): position.offset for partition, position in self._sessions_log.progress.items()
            },
            "rows": self._events.rows,
            "rows_found_stored": self._events.spared,
            "detections": self._detections.rows,
            "lineage_edges": self._lineage.rows,
            "retention_orders_open": len(self._expiry.orders),
            "retention_waits_for_log": self._waits_for_log,
            "unreadable_records": self._detections.unreadable + self._actions.unreadable,
        }

    def _is_witnessed(self) -> bool:
        """Whether every retention action that is stored here is in the log, under a head that the quorum signed."""
        own, witnessed = self._side_logs[RETENTION].progress, self._witnessed.read()
        return all(
            partition in witnessed
            and witnessed[partition].log_id == position.log_id
            and witnessed[partition].offset >= position.offset
            for partition, position in own.items()
        )

    def close(self) -> None:
        for log in (self._sessions_log, *self._side_logs.values()):
            with contextlib.suppress(Unreachable):
                log.save()
        self._holds.close()
        self._store.close()
        self._retention_store.close()

    def _store_findings(self, records: Sequence[Record], token: str, is_in_doubt: bool) -> None:
        """One topic, two tables."""
        self._detections.store_rows(records, token, is_in_doubt)
        self._lineage.store_rows(records, token, is_in_doubt)

    def _publish(self, answer: RetentionAction) -> None:
        """Make the answer durable on the retention topic. Raises Unreachable; then it is sent again, with one id."""
        if self._producer is None:
            self._producer = Producer(self._producer_config)
        try:
            write_durably(self._producer, RETENTION, [framing.encode(answer)], ANSWER_TIMEOUT_S)
        except Unreachable:
            self._producer = None  # what it still holds must not come after what is sent again
            raise

    def _read_session_ends(self) -> Mapping[int, int]:
        """Where each partition of the sessions topic ends now. Raises Unreachable."""
        consumer = Consumer(self._reader_config)
        try:
            count = partition_count(consumer, SESSIONS)
            return {partition: watermarks(consumer, SESSIONS, partition)[1] for partition in range(count)}
        finally:
            consumer.close()


def make_clickhouse_sink(settings: Settings, home: Home) -> ClickHouseSink:
    """The sink of a home. Raises ConfigError without the store's logins."""
    return ClickHouseSink(settings, home)
