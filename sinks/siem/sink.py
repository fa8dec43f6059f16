"""The SIEM sink: detections, summaries of closed sessions, heads of the log to a transport, at least once.

What was sent counts only when the transport has confirmed it. Until then it stays in a window in memory: after any
failure of the transport the window is sent again, in order, and after a restart everything since the saved progress is.
So a receiver may see a message twice, with the same id, and never misses one. Each confirmed message is a row of
`deliveries`; progress is saved after those.
"""

import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.config import Settings
from schemas.errors import RecordError, Unreachable
from schemas.events import Detection
from schemas.runtime import Home, now_us
from schemas.topics import DETECTIONS, SESSIONS
from schemas.wire import framing
from sinks.clickhouse.client import StoreClient, Table
from sinks.clickhouse.progress import ProgressLedger
from sinks.columns import decode_batch
from sinks.contract import InputView, Positions
from sinks.origins import Begin, Position
from sinks.reader import Batch
from sinks.records import Record
from sinks.siem.heads import HeadWatch
from sinks.siem.summaries import Tallies, describe_detection, is_severe_enough
from sinks.siem.syslog import SyslogTransport
from sinks.siem.transport import Message, Transport

COMPONENT: Final = "sink-siem"
HEADS: Final = "checkpoints"
"""Where a topic's name stands otherwise: heads of the transparency log come from its directory."""
CONFIRM_INTERVAL_S: Final = 2.0
MAX_WINDOW: Final = 2_000
"""Unconfirmed messages at most: beyond it nothing more is sent before a confirmation (back-pressure)."""
MAX_EVENTS: Final = 20_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message in the window, with where it came from."""

    message: Message
    log_id: str
    partition: int
    offset: int


class SiemSink:
    """See sinks/contract.py. One transport; `name` is the sink's name in `progress` and `deliveries`."""

    component: str = COMPONENT
    begin = Begin.EARLIEST
    decode = staticmethod(decode_batch)
    is_skimming = True
    side_topics: tuple[str, ...] = (DETECTIONS,)
    max_events = MAX_EVENTS
    enough_events = MAX_EVENTS // 2
    interval_s = 0.0

    def __init__(
        self,
        name: str,
        target: str,
        transport: Transport,
        store: StoreClient,
        min_severity: str,
        confirm_interval_s: float = CONFIRM_INTERVAL_S,
        heads: HeadWatch | None = None,
    ) -> None:
        self.name = name
        self.confirmed = 0
        self.resent = 0
        self.unreadable = 0
        self._target = target
        self._transport = transport
        self._store = store
        self._min_severity = min_severity
        self._confirm_interval_s = confirm_interval_s
        self._heads = heads
        self._ledgers = {
            SESSIONS: ProgressLedger(store, name),
            DETECTIONS: ProgressLedger(store, f"{name}.detections"),
            HEADS: ProgressLedger(store, f"{name}.checkpoints"),
        }
        self._tallies = Tallies()
        self._window: list[Sent] = []
        self._sent = 0  # of the window, from its beginning
        self._reached: dict[str, dict[int, Position]] = {SESSIONS: {}, DETECTIONS: {}, HEADS: {}}
        self._confirm_at = 0.0

    def load_progress(self) -> Positions:
        positions = {topic: ledger.read() for topic, ledger in self._ledgers.items()}
        if self._heads is not None:
            self._heads.resume(positions[HEADS].get(0))
        return positions

    def write(self, batches: Sequence[Batch]) -> None:
        """Take summaries into the window and send it; it is acknowledged by `work`."""
        for batch in batches:
            if self._is_new(SESSIONS, batch.log_id, batch.partition, batch.offset):
                for message in self._tallies.add(batch):
                    self._window.append(Sent(message, batch.log_id, batch.partition, batch.offset))
        self._flush()

    def write_records(self, topic: str, records: Sequence[Record]) -> None:
        for record in records:
            detection = self._read(record)  # first: while the schema registry is away, the record stays new
            is_new = self._is_new(topic, record.log_id, record.partition, record.offset)
            if is_new and detection is not None and is_severe_enough(detection, self._min_severity):
                message = describe_detection(detection)
                self._window.append(Sent(message, record.log_id, record.partition, record.offset))
        self._flush()

    def work(self, view: InputView) -> None:
        """Confirm when it is time: soon after the last message, and at the latest every few seconds."""
        self._take_head()
        self._flush()
        has_news = any(self._reached.values())
        if has_news and time.monotonic() >= self._confirm_at:
            self._acknowledge()

    def _take_head(self) -> None:
        head = self._heads.look() if self._heads is not None else None
        if head is not None:
            origin, size = head.fields["origin"], int(head.fields["size"])
            if self._is_new(HEADS, origin, 0, size):
                self._window.append(Sent(head, origin, 0, size))

    def describe(self) -> dict[str, object]:
        alarms = {"heads": self._heads.problem} if self._heads is not None and self._heads.problem else {}
        return {
            "alarms": alarms,
            "confirmed": self.confirmed,
            "unconfirmed": len(self._window),
            "resent": self.resent,
            "open_sessions": len(self._tallies),
            "unreadable_records": self.unreadable,
        }

    def close(self) -> None:
        with contextlib.suppress(Unreachable):
            self._flush()
            self._acknowledge()
        self._transport.close()
        self._store.close()

    def _is_new(self, topic: str, log_id: str, partition: int, offset: int) -> bool:
        """False when a retry delivers what is in the window already."""
        reached = self._reached[topic].get(partition)
        if reached is not None and reached.log_id == log_id and offset <= reached.offset:
            return False
        if not any(self._reached.values()):
            self._confirm_at = time.monotonic() + self._confirm_interval_s
        self._reached[topic][partition] = Position(log_id, offset)
        return True

    def _read(self, record: Record) -> Detection | None:
        try:
            item = framing.decode(record.data)
        except RecordError as error:
            self.unreadable += 1
            _log.error("alarm: %s[%d] offset %d: %s", record.topic, record.partition, record.offset, error)
            return None
        return item if isinstance(item, Detection) else None

    def _flush(self) -> None:
        """Send what of the window is not sent; after a failure all of it counts as not sent."""
        while self._sent < len(self._window):
            part = self._window[self._sent : self._sent + MAX_WINDOW]
            try:
                self._transport.send([sent.message for sent in part])
            except Unreachable:
                self._forget_sent()
                raise
            self._sent += len(part)
            if self._sent >= MAX_WINDOW:
                self._confirm()

    def _confirm(self) -> None:
        try:
            self._transport.confirm()
        except Unreachable:
            self._forget_sent()
            raise
        confirmed, self._window = self._window[: self._sent], self._window[self._sent :]
        self._sent = 0
        self.confirmed += len(confirmed)
        self._note_deliveries(confirmed)

    def _forget_sent(self) -> None:
        self.resent += self._sent
        self._sent = 0

    def _acknowledge(self) -> None:
        """Confirm the whole window, then save how far it reached."""
        if self._window:
            self._confirm()
        for topic, ledger in self._ledgers.items():
            ledger.write(self._reached[topic])
            self._reached[topic] = {}

    def _note_deliveries(self, confirmed: Sequence[Sent]) -> None:
        """Rows for people to look up. They prove nothing that progress does not, so a lost row is not sent again."""
        if not confirmed:
            return
        at = now_us()
        table: Table = {
            "sink": [self.name] * len(confirmed),
            "target": [self._target] * len(confirmed),
            "log_id": [sent.log_id for sent in confirmed],
            "partition": [sent.partition for sent in confirmed],
            "offset": [sent.offset for sent in confirmed],
            "item": [sent.message.identity for sent in confirmed],
            "kind": [sent.message.kind for sent in confirmed],
            "at": [at] * len(confirmed),
            "status": ["delivered"] * len(confirmed),
            "attempt": [1] * len(confirmed),
            "detail": ["closing confirmed"] * len(confirmed),
        }
        try:
            self._store.insert("deliveries", table)
        except Unreachable as error:
            _log.warning("%d deliveries could not be noted: %s", len(confirmed), error)


def make_syslog_sink(settings: Settings, home: Home) -> SiemSink:
    """The syslog sink of a home. Raises ConfigError."""
    config = settings.siem.syslog
    store = StoreClient(settings, home, "writer")
    target = f"{config.host}:{config.port}"
    heads = HeadWatch(settings, home)
    return SiemSink("siem-syslog", target, SyslogTransport(config), store, config.min_severity, heads=heads)
