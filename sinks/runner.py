"""Runs one sink as a process: `python -m sinks.runner clickhouse`.

Progress first, then reading from there; a turn takes what has arrived, writes it, lets the sink do its own work. A peer
that is absent makes the turn wait with an alarm in run/<name>.json and go on by itself. SIGTERM ends between two turns.
"""

import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from schemas.config import Settings, find_settings
from schemas.errors import CustodyError, Unreachable
from schemas.runtime import Home, RunState, announce_ready, find_home, now_us, write_run_state
from schemas.topics import SESSIONS
from schemas.wire.kafka import reader_config
from schemas.wire.log_filter import set_up_logging
from schemas.wire.startup import choose_framing
from sinks.clickhouse.sink import make_clickhouse_sink
from sinks.contract import Sink, SinkKind
from sinks.heap import keep_freed_memory
from sinks.reader import Batch, SessionsReader
from sinks.records import Record, RecordReader
from sinks.siem.sink import make_syslog_sink
from sinks.transparency.sink import make_transparency_sink

SINKS: Final[Mapping[str, SinkKind]] = {
    "clickhouse": SinkKind(make_clickhouse_sink),
    "transparency": SinkKind(make_transparency_sink),
    "siem-syslog": SinkKind(make_syslog_sink, lambda settings: bool(settings.siem.syslog.host)),
}
"""Every sink: one line each."""

FIRST_BACKOFF_S: Final = 0.1
LAST_BACKOFF_S: Final = 5.0
STATUS_INTERVAL_S: Final = 1.0
POLL_WAIT_S: Final = 0.05
GATHER_S: Final = 0.03
FEW_EVENTS: Final = 500
REST_S: Final = 2.0
"""A write of more than a few events begins a rest: the peer's work for a write weighs more than that for an event. It
ends when enough has come (`Sink.enough_events`)."""
SIDE_RECORDS: Final = 500
GC_THRESHOLDS: Final = (200_000, 20, 100)
"""Batches are many small lists without cycles; by default the collector would look through them half of the time."""

_log = logging.getLogger(__name__)


class Runner:
    """One sink, its readers and its state file. `run` returns when `stop` is set."""

    def __init__(self, settings: Settings, home: Home, sink: Sink, stop: threading.Event) -> None:
        self.is_idle = False
        self._home = home
        self._sink = sink
        self._stop = stop
        self._config = reader_config(settings, home, sink.component)
        self._reader: SessionsReader | None = None
        self._sides: dict[str, RecordReader] = {}
        self._undelivered: dict[str, list[Record]] = {}
        self._waiting = ""
        self._status: dict[str, Any] = {}
        self._status_at = 0.0
        self._write_at = 0.0
        self._started_at = now_us()

    def run(self) -> None:
        """Deliver until `stop` is set; Unreachable peers are waited for, other errors end the process."""
        self._say(is_ready=False)
        try:
            if self._retry(self._open):
                announce_ready(self._home, self._sink.component)
                while not self._stop.is_set():
                    self._turn()
                    self._say(is_ready=True)
        finally:
            self._close()

    def is_past(self, ends: Mapping[int, int]) -> bool:
        return self._reader is not None and self._reader.is_past(ends)

    def is_at_end(self, topic: str) -> bool:
        return not self._undelivered.get(topic) and self._sides[topic].is_at_end()

    def _open(self) -> None:
        positions = self._sink.load_progress()
        for topic in self._sink.side_topics:
            if topic not in self._sides:
                self._sides[topic] = RecordReader(self._config, topic, positions.get(topic, {}))
        self._reader = SessionsReader(
            self._config,
            positions.get(SESSIONS, {}),
            begin=self._sink.begin,
            decode=self._sink.decode,
            is_skimming=self._sink.is_skimming,
        )
        self._reader.start()

    def _turn(self) -> None:
        assert self._reader is not None  # noqa: S101 - set by _open
        pause = self._write_at - time.monotonic()
        if pause > 0:
            self._reader.wait(self._sink.enough_events, pause)
        batches = self._gather(self._reader)
        if batches:
            began = time.monotonic()
            if not self._retry(partial(self._sink.write, batches)):
                return
            self._write_at = began + self._period_after(batches)
        records = False
        for topic, reader in self._sides.items():
            records |= self._deliver_side(topic, reader)
        self.is_idle = not batches and not records
        self._retry(partial(self._sink.work, self))
        if -1 in self._reader.alarms:
            raise CustodyError(self._reader.alarms[-1])

    def _gather(self, reader: SessionsReader) -> list[Batch[Any]]:
        """What has come. A sink with an interval waits for an action's outcome, which mostly follows its request."""
        batches = reader.poll(self._sink.max_events, POLL_WAIT_S)
        if batches and self._sink.interval_s and sum(len(batch) for batch in batches) < FEW_EVENTS:
            self._stop.wait(GATHER_S)
            batches += reader.poll(FEW_EVENTS, 0.0)
        return batches

    def _period_after(self, batches: Sequence[Batch[Any]]) -> float:
        """From the beginning of this write to that of the next."""
        is_busy = sum(len(batch) for batch in batches) > FEW_EVENTS
        return max(REST_S, self._sink.interval_s) if is_busy and self._sink.interval_s else self._sink.interval_s

    def _deliver_side(self, topic: str, reader: RecordReader) -> bool:
        try:
            self._undelivered[topic] = reader.poll(SIDE_RECORDS, 0)
        except Unreachable as error:
            self._note_waiting(error)
            return False
        records = self._undelivered[topic]
        if records and self._retry(partial(self._sink.write_records, topic, records)):
            self._undelivered[topic] = []
        return bool(records)

    def _retry(self, act: Callable[[], None]) -> bool:
        """Do it until the peer answers; False when stopped before."""
        backoff = FIRST_BACKOFF_S
        while not self._stop.is_set():
            try:
                act()
            except Unreachable as error:
                self._note_waiting(error)
                self._stop.wait(backoff)
                backoff = min(backoff * 2, LAST_BACKOFF_S)
            else:
                self._waiting = ""
                return True
        return False

    def _note_waiting(self, error: Unreachable) -> None:
        if not self._waiting:
            _log.warning("alarm: %s waits: %s", self._sink.name, error)
        self._waiting = str(error)
        self._say(is_ready=self._reader is not None)

    def _say(self, *, is_ready: bool) -> None:
        """Publish the state when it changed, at most once a second."""
        if time.monotonic() < self._status_at:
            return
        self._status_at = time.monotonic() + STATUS_INTERVAL_S
        status = self._describe() | {"ready": is_ready}
        if status != self._status:
            self._status = status
            detail = {key: value for key, value in status.items() if key != "ready"}
            write_run_state(
                self._home, RunState(self._sink.component, os.getpid(), is_ready, {}, self._started_at, detail)
            )

    def _describe(self) -> dict[str, Any]:
        reader = self._reader
        alarms = {f"sessions[{partition}]": text for partition, text in (reader.alarms if reader else {}).items()}
        for topic, side in self._sides.items():
            alarms |= {f"{topic}[{partition}]": text for partition, text in side.alarms.items()}
        waiting = self._waiting or (reader.waiting if reader else "")
        state = "stopped" if alarms else "waiting" if waiting else "running"
        own = self._sink.describe()
        if isinstance(found := own.pop("alarms", {}), dict):
            alarms |= found
        return {"state": state, "alarms": alarms, "waiting": waiting, **own}

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        for side in self._sides.values():
            side.close()
        self._sink.close()


def main(arguments: list[str]) -> int:
    """Exit code 0 after SIGTERM or when the sink is switched off, 2 for bad usage or settings, 1 for a failure."""
    set_up_logging()
    if len(arguments) != 1 or arguments[0] not in SINKS:
        print(f"usage: python -m sinks.runner {'|'.join(SINKS)}", file=sys.stderr)
        return 2
    kind, home = SINKS[arguments[0]], Home(find_home())
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    keep_freed_memory()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        settings = find_settings(home)
        if not kind.is_enabled(settings):
            print(f"{arguments[0]} is off: its receiver is not set in custody.yaml", file=sys.stderr)
            return 0
        choose_framing(settings)
        Runner(settings, home, kind.build(settings, home), stop).run()
    except CustodyError as error:
        _log.error("%s", error)
        return 2 if error.fault.value == "caller" else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
