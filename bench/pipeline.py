"""Events per second from the raw topic to rows visible in ClickHouse, every stage running, on one machine.

Every stage: masking, facts and detection, retention, the ClickHouse sink, and the SIEM sink with a real rsyslog behind.

`python -m bench.pipeline [BACKLOG_EVENTS [LIVE_EVENTS]]`; with arguments it is a quick look that records nothing.

Backlog: so many events lie on the raw topic when the stages start. Live: events are published as long as at most
`MAX_LAG` are under way, so the rate is the highest at which the lag stays bounded. Besides the rates, which other load
on the machine spoils, each run reports CPU seconds per million events of each process; their sum says how fast it could
go on idle cores. Last, what the processes use while nothing happens, in percent of a core.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from confluent_kafka import Producer

from bench.load import PROXY, Load, Sealed
from bench.results import record
from bench.stages import SIEM, STAGES, CpuSeconds, Pipeline, run_pipeline, spent
from schemas import topics
from schemas.config import find_settings
from schemas.events import ControlKind
from schemas.wire import kafka
from schemas.wire.control import ControlWriter
from tests.sinks.siem.receiver import Receiver

MAX_LAG: Final = 100_000
"""Five seconds at the wanted rate. With a bound near what one write of the sink holds (up to 50,000), feed and stages
would wait for each other in turn, and that would be measured."""
WARM_UP_EVENTS: Final = 10_000
POLL_S: Final = 0.25  # a look costs the store some milliseconds
STALL_S: Final = 60.0
IDLE_S: Final = 5.0
WANTED_EVENTS_PER_S: Final = 20_000

Figures = dict[str, tuple[float, str]]
"""Name -> value and unit."""


class Feed:
    """Puts batches on the raw topic."""

    def __init__(self, pipeline: Pipeline) -> None:
        settings = find_settings(pipeline.home)
        self.load = Load(pipeline.home, settings.kafka.partitions)
        ControlWriter(settings, pipeline.home).put(ControlKind.PROXY_KEY, PROXY, {"public": self.load.public})
        self._producer = Producer(kafka.producer_config(settings, pipeline.home, "proxy"))
        self.published = 0

    def put(self, batch: Sealed) -> None:
        self._producer.produce(topics.RAW, batch.record, partition=batch.partition)
        self._producer.poll(0)
        self.published += batch.events

    def flush(self) -> None:
        if self._producer.flush(60):
            raise SystemExit("the broker does not take the batches")

    def put_all(self, batches: Iterator[Sealed]) -> None:
        """Durably, a few thousand records at a time."""
        for number, batch in enumerate(batches):
            self.put(batch)
            if number % 500 == 499:
                self.flush()
        self.flush()


class Rows:
    """Counts rows as a reader sees them."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._client = pipeline.store.client("reader")

    def count(self) -> int:
        return int(self._client.query("SELECT count() FROM custody.events").result_rows[0][0])

    def wait(self, wanted: int) -> None:
        """Until so many are visible; SystemExit when nothing moves any more."""
        seen, moved_at = -1, time.monotonic()
        while (now := self.count()) < wanted:
            if now != seen:
                seen, moved_at = now, time.monotonic()
            if time.monotonic() - moved_at > STALL_S:
                raise SystemExit(f"{now} of {wanted} rows, and no more")
            time.sleep(POLL_S)


def measure_backlog(pipeline: Pipeline, feed: Feed, rows: Rows, events: int) -> Figures:
    """The stages start with `events` events before them; their own start is part of it."""
    feed.put_all(feed.load.batches(events))
    idle = pipeline.cpu_seconds()
    started = time.monotonic()
    pipeline.start(*STAGES, *SIEM)
    ready_s = time.monotonic() - started
    rows.wait(feed.published)
    took = time.monotonic() - started
    print(f"backlog of {feed.published:,} events: {took:.1f} s, of which starting {ready_s:.1f} s")
    return figures("backlog", feed.published, took, spent(idle, pipeline.cpu_seconds()))


def measure_live(pipeline: Pipeline, feed: Feed, rows: Rows, events: int) -> Figures:
    """Feeds with a bounded lag; sealing was done before, so that it costs nothing meanwhile."""
    warm_up, batches = list(feed.load.batches(WARM_UP_EVENTS)), list(feed.load.batches(events))
    feed.put_all(iter(warm_up))
    rows.wait(feed.published)
    before, first, started = pipeline.cpu_seconds(), feed.published, time.monotonic()
    seen = first
    for batch in batches:
        # What was seen stays visible: only at the bound is the store asked anew, not before each batch.
        while feed.published - seen > MAX_LAG and feed.published - (seen := rows.count()) > MAX_LAG:
            time.sleep(POLL_S)
        feed.put(batch)
    feed.flush()
    rows.wait(feed.published)
    took = time.monotonic() - started
    return figures("live", feed.published - first, took, spent(before, pipeline.cpu_seconds()))


def measure_idle(pipeline: Pipeline) -> Figures:
    """Percent of a core that each process uses while nothing happens."""
    time.sleep(1)
    before = pipeline.cpu_seconds()
    time.sleep(IDLE_S)
    used = spent(before, pipeline.cpu_seconds())
    return {f"pipeline.idle.{name}": (100 * seconds / IDLE_S, "% of a core") for name, seconds in used.items()}


def figures(name: str, events: int, took_s: float, cpu: CpuSeconds) -> Figures:
    """Rate of one run, and the CPU seconds of each process per million events."""
    # Live is the steady state and has the plain names; starting the processes weighs on a small backlog.
    prefix = "pipeline.cpu" if name == "live" else f"pipeline.cpu.{name}"
    used = {f"{prefix}.{stage}": seconds * 1e6 / events for stage, seconds in cpu.items()}
    used[f"{prefix}.total"] = sum(used.values())
    return {f"pipeline.{name}": (events / took_s, "events/s")} | {
        stage: (seconds, "CPU s/million events") for stage, seconds in used.items()
    }


def report(found: Figures, *, is_quick: bool) -> None:
    for name, (value, unit) in found.items():
        if is_quick:
            print(f"{name}: {value:,.1f} {unit}")
        elif unit == "events/s":
            record(name, value, unit, "required", value / WANTED_EVENTS_PER_S)
        else:
            record(name, value, unit)


def main(backlog_events: int = 1_000_000, live_events: int = 300_000, *, is_quick: bool = False) -> None:
    """Measure, then record or print."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="custody-bench-")))
        directory.chmod(0o755)  # the receiver is another user
        receiver = Receiver(directory)
        receiver.start()
        stack.callback(receiver.stop)
        syslog = receiver.config().model_dump()
        pipeline = stack.enter_context(run_pipeline(directory, siem={"syslog": syslog}))
        feed, rows = Feed(pipeline), Rows(pipeline)
        if backlog_events:
            report(measure_backlog(pipeline, feed, rows, backlog_events), is_quick=is_quick)
        else:
            pipeline.start(*STAGES, *SIEM)
        if live_events:
            report(measure_live(pipeline, feed, rows, live_events), is_quick=is_quick)
        report(measure_idle(pipeline), is_quick=is_quick)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]), is_quick=len(sys.argv) > 1)
