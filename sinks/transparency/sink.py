"""The transparency sink: commits to every event, batch, retention action and legal hold in a Merkle tree.

Its progress is in the log itself: the journal's record that makes leaves durable says how far the input was read. The
store is told for people to look up (`checkpoints`, `progress`), and may be away.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from schemas.config import Settings
from schemas.errors import ConfigError, ForgedError, RecordError, Unreachable
from schemas.events import Control, ControlKind
from schemas.runtime import Home, now_us
from schemas.topics import CONTROL, RETENTION, SESSIONS
from schemas.wire import framing
from schemas.wire.control import ROOT_WRITER
from sinks.clickhouse.client import StoreClient, Table
from sinks.clickhouse.progress import WITNESSED, ProgressLedger
from sinks.contract import InputView, Positions
from sinks.origins import Begin, Position
from sinks.reader import Batch
from sinks.records import Record
from sinks.transparency.alerts import AlertWriter
from sinks.transparency.hold_leaf import make_hold_leaf
from sinks.transparency.leaf import Coordinates, encode_retention
from sinks.transparency.log import Log
from sinks.transparency.merkle import hash_leaf
from sinks.transparency.place import LogPlace, find_log, keep_origin
from sinks.transparency.publisher import Published, Publisher, explain
from sinks.transparency.rehash import Rehash
from sinks.transparency.rotation import Rotation, settle_rotation
from sinks.transparency.s3 import open_storage
from sinks.transparency.signing import make_signer
from sinks.transparency.tiles import frame_entry
from sinks.transparency.walk import LeafBatch, derive_leaves

NAME: Final = "transparency"
COMPONENT: Final = "sink-transparency"
MAX_EVENTS: Final = 20_000
GATHER_INTERVAL_S: Final = 0.05
STORE_INTERVAL_S: Final = 5.0

_logger = logging.getLogger(__name__)


class TransparencySink:
    """See sinks/contract.py."""

    name: str = NAME
    component: str = COMPONENT
    begin = Begin.COMPLETE
    decode = staticmethod(derive_leaves)
    is_skimming = False
    side_topics: tuple[str, ...] = (RETENTION, CONTROL)
    max_events = MAX_EVENTS
    enough_events = MAX_EVENTS // 2
    interval_s = GATHER_INTERVAL_S

    def __init__(self, settings: Settings, home: Home, place: LogPlace) -> None:
        self.unreadable = 0
        self._storage = open_storage(settings.transparency, home, place.directory)
        self._log = Log(self._storage, place.state, place.origin)
        self._bookkeeper = Bookkeeper(StoreClient(settings, home, "writer"), place.origin)
        self._publisher = Publisher(
            self._log,
            self._storage,
            make_signer(settings, home),
            place.policy,
            interval_s=settings.transparency.checkpoint_interval_ms / 1000,
            requires_quorum=settings.transparency.require_witnesses,
            note=self._bookkeeper.note,
        )
        self._alerts = AlertWriter(settings, home, COMPONENT)
        self._rehash = Rehash(
            settings.transparency, StoreClient(settings, home, "writer"), self._storage, self._alerts.write
        )
        self._rotation = Rotation(home, self._log, self._storage, self._publisher)
        self._root = home.verify_key(ROOT_WRITER)
        self._is_open = False

    def load_progress(self) -> Positions:
        if not self._is_open:
            self._log.open()
            self._is_open = True
        return {
            topic: {partition: Position(log_id, offset) for partition, (log_id, offset) in known.items()}
            for topic, known in self._log.positions.items()
        }

    def write(self, batches: Sequence[Batch[LeafBatch]]) -> None:
        framed: list[bytes] = []
        hashes: list[bytes] = []
        reached: dict[int, tuple[str, int]] = {}
        for batch in batches:
            if self._is_new(SESSIONS, batch.log_id, batch.partition, batch.offset):
                framed += batch.decoded.framed
                hashes += batch.decoded.hashes
                reached[batch.partition] = (batch.log_id, batch.offset)
        if reached:
            self._log.append(framed, hashes, {SESSIONS: reached})

    def write_records(self, topic: str, records: Sequence[Record]) -> None:
        entries: list[bytes] = []
        reached: dict[int, tuple[str, int]] = {}
        for record in records:
            if self._is_new(topic, record.log_id, record.partition, record.offset):
                entries += self._read_retention(record) if topic == RETENTION else self._read_hold(record)
                reached[record.partition] = (record.log_id, record.offset)
        if reached:
            framed = [frame_entry(entry) for entry in entries]
            self._log.append(framed, [hash_leaf(entry) for entry in entries], {topic: reached})

    def work(self, view: InputView) -> None:
        self._publisher.work()
        self._rotation.work()
        self._rehash.work()
        self._bookkeeper.work()

    def describe(self) -> dict[str, object]:
        latest = self._publisher.latest
        described: dict[str, object] = {
            "tree_size": self._log.size,
            "published_size": latest.head.size if latest else 0,
            "unreadable_records": self.unreadable,
            "rehashed_leaves": self._rehash.leaves,
        }
        alarms = {}
        if alarm := explain(self._publisher):
            described["unwitnessed_since"] = int(self._publisher.unwitnessed_since)
            alarms["heads"] = alarm
        if self._rehash.faults:
            alarms["record"] = f"{self._rehash.faults} leaves do not fit their rows: see `custody verify`"
        return described | ({"alarms": alarms} if alarms else {})

    def close(self) -> None:
        """Publishes what is in the log, and begins the journal anew, so that the next start is quick."""
        try:
            if self._is_open:
                self._publisher.flush()
                self._log.settle()
        except Unreachable as error:
            _logger.warning("closing: %s", error)
        self._rehash.close()
        self._publisher.close()
        self._bookkeeper.close()
        self._log.close()

    def _is_new(self, topic: str, log_id: str, partition: int, offset: int) -> bool:
        """False when a retry delivers what is in the tree already."""
        known = self._log.positions.get(topic, {}).get(partition)
        return known is None or known[0] != log_id or offset > known[1]

    def _read_retention(self, record: Record) -> list[bytes]:
        """The leaf of a retention action; other records of the topic have none."""
        try:
            name, fingerprint, start = framing.find_body(record.data)
        except RecordError as error:
            self.unreadable += 1
            _logger.error("alarm: %s[%d] offset %d: %s", record.topic, record.partition, record.offset, error)
            return []
        if name != "RetentionAction":
            return []
        origin = Coordinates(record.log_id, record.partition, record.offset)
        return [encode_retention(origin, fingerprint, record.data[start:])]

    def _read_hold(self, record: Record) -> list[bytes]:
        """The leaf of a legal hold that is placed or released; other entries of control have none."""
        try:
            entry = framing.decode(record.data)
            if not isinstance(entry, Control) or entry.kind != ControlKind.LEGAL_HOLD:
                return []
            return [make_hold_leaf(Coordinates(record.log_id, record.partition, record.offset), entry, self._root)]
        except (RecordError, ForgedError, ConfigError) as error:
            self.unreadable += 1
            _logger.error("alarm: %s[%d] offset %d: %s", record.topic, record.partition, record.offset, error)
            return []


class Bookkeeper:
    """Tells the store of checkpoints, in a thread of its own; what cannot be told now is superseded by what comes."""

    def __init__(self, store: StoreClient, origin: str) -> None:
        self._store, self._origin = store, origin
        self._ledger, self._witnessed = ProgressLedger(store, NAME), ProgressLedger(store, WITNESSED)
        self._executor = ThreadPoolExecutor(1, "bookkeeper")
        self._job: Future[None] | None = None
        self._news: Published | None = None
        self._next_at = 0.0

    def note(self, published: Published) -> None:
        """The newest checkpoint."""
        self._news = published

    def work(self) -> None:
        if self._job is not None and self._job.done():
            self._job = None
        if self._job is None and self._news is not None and time.monotonic() >= self._next_at:
            news, self._news = self._news, None
            self._next_at = time.monotonic() + STORE_INTERVAL_S
            self._job = self._executor.submit(self._tell, news)

    def close(self) -> None:
        if self._news is not None:
            self._executor.submit(self._tell, self._news)
        self._executor.shutdown(wait=True)
        self._store.close()

    def _tell(self, published: Published) -> None:
        head = published.head
        row: Table = {
            "log": [self._origin],
            "tree_size": [head.size],
            "root_hash": [head.root.hex()],
            "at": [now_us()],
            "note": [published.note.encode()],
            "cosignatures": [[item.line.strip() for item in published.cosignatures.values()]],
        }
        try:
            self._store.insert("checkpoints", row, f"{self._origin}/{head.size}/{published.is_witnessed}")
            self._ledger.write(_as_positions(head.positions.get(SESSIONS, {})))
            if published.is_witnessed:
                self._witnessed.write(_as_positions(head.positions.get(RETENTION, {})))
        except Unreachable as error:
            _logger.warning("size %d could not be noted in the store: %s", head.size, error)


def _as_positions(known: Mapping[int, tuple[str, int]]) -> dict[int, Position]:
    return {partition: Position(log_id, offset) for partition, (log_id, offset) in known.items()}


def make_transparency_sink(settings: Settings, home: Home) -> TransparencySink:
    """The sink of a home. Raises ConfigError without its keys, or when another process writes the log."""
    keep_origin(settings, home)
    settle_rotation(home)
    return TransparencySink(settings, home, find_log(settings, home))
