"""Expiring one day of many on a full store, and what that does to the inserts beside it.

retention.expire         seconds from an order to its DONE, median of the days that are expired
retention.expire.held    the same, one session in a hundred under a legal hold: copied, compared, then dropped
retention.insert.day     rows a second that are inserted in the ten seconds in which one day expires, against the rate
                         with nothing beside it; median of some days
retention.insert.beside  the same while days expire one after another without a pause

`python -m bench.retention [EVENTS]`: events in the store, spread over 90 days; ten million if nothing is said. The goal
is for that size: seconds a day, and inserts slowed by no more than 10 %. It takes some 160 bytes of disk an event.
"""

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.results import record
from schemas.config import Retention, Settings
from schemas.config import Store as StoreSettings
from schemas.events import Event, RetentionAction
from schemas.holds import LegalHold, parse_hold
from sinks.clickhouse.client import StoreClient
from sinks.clickhouse.expiry import Expiry
from sinks.clickhouse.writer import EventWriter
from sinks.reader import Batch
from sinks.transparency.orders import day_of
from tests.sinks.batches import DAY_US, START_US, make_batch
from tests.sinks.clickhouse.stored import as_batch
from tests.support.store import Store, run_store

EVENTS: Final = 10_000_000
DAYS: Final = 90
EXPIRED: Final = 6
BATCH_EVENTS: Final = 200
INSERT_BATCHES: Final = 50
"""Of 200 events: what the sink writes under load."""
REST_S: Final = 1.0
WINDOW_S: Final = 10.0
HOLD: Final = parse_hold(
    "h-1",
    {
        "session": "s-7", "authority": "bench", "reason": "bench", "placed_by": "a", "approved_by": "b", "placed_at": 1,
        "opening": "00" * 16,
    },
)  # fmt: skip


class Feed:
    """Batches of one day, of a hundred sessions, as the sink has them."""

    def __init__(self) -> None:
        self._offset = 0

    def make(self, day: int, events: int) -> Iterator[list[Batch]]:
        for _ in range(max(1, events // (BATCH_EVENTS * INSERT_BATCHES))):
            yield [self._make_one(day) for _ in range(INSERT_BATCHES)]

    def _make_one(self, day: int) -> Batch:
        batch = make_batch(self._offset % 100, self._offset, BATCH_EVENTS, at=START_US + day * DAY_US)
        for number, item in enumerate(batch.events):
            vary(item.event, self._offset * BATCH_EVENTS + number)
        self._offset += 1
        return as_batch(batch)


def vary(event: Event, number: int) -> None:
    """Texts that differ as those of real statements do."""
    event.statement = f"SELECT name FROM customers WHERE id = {number * 2_654_435_761 % 4_294_967_296}"
    event.at += number % 1_000_000


def fill(writer: EventWriter, store: StoreClient, feed: Feed, events: int) -> None:
    """The first day as the sink writes it, the others as copies of it within the store: only their number matters."""
    for batches in feed.make(0, events // DAYS):
        writer.store_rows(batches, "", False)
    # The condition stands in a query of its own: beside REPLACE it would mean the new time.
    first = f"(SELECT * FROM custody.events WHERE toDate(at) = '{day_of(START_US)}')"
    for day in range(1, DAYS):
        store.copy("events", f"SELECT * REPLACE (at + toIntervalDay({day}) AS at) FROM {first}", f"bench-{day}")


def expire(writer: StoreClient, retention: StoreClient, day: int, holds: dict[str, LegalHold]) -> tuple[float, int]:
    """Seconds and rows."""
    answers: list[RetentionAction] = []
    expiry = Expiry(writer, retention, Retention(), answers.append, dict, lambda: holds)
    name = day_of(START_US + day * DAY_US)
    expiry.note(RetentionAction(f"standard/{name}", "expire", "standard", name, START_US, "bench"))
    started = time.perf_counter()
    expiry.work(lambda ends: True)
    took = time.perf_counter() - started
    if [answer.action for answer in answers] != ["done"]:
        raise SystemExit(f"day {name} did not expire")
    return took, answers[0].rows


def insert_until(store: StoreClient, prepared: list[list[Batch]], is_over: Callable[[], bool]) -> tuple[int, float]:
    """Rows inserted and the time it took, of the store alone: the batches are encoded before."""
    writer, rows, spent = EventWriter(store), 0, 0.0
    while not is_over() or not rows:
        batches = prepared[(rows // (BATCH_EVENTS * INSERT_BATCHES)) % len(prepared)]
        before = time.perf_counter()
        writer.store_rows(batches, "", False)
        spent += time.perf_counter() - before
        rows += BATCH_EVENTS * INSERT_BATCHES
    return rows, spent


def insert_beside_one(store: Store, prepared: Sequence[list[Batch]], day: int) -> float:
    """Rows a second over `WINDOW_S`, a second after whose beginning a day expires."""
    writer, beside, retention = connect(store, "writer"), connect(store, "writer"), connect(store, "retention")
    timer = threading.Timer(1.0, lambda: expire(writer, retention, day, {}))
    end = time.perf_counter() + WINDOW_S
    timer.start()
    rows, spent = insert_until(beside, prepared, lambda: time.perf_counter() > end)
    timer.join()
    for client in (writer, beside, retention):
        client.close()
    return rows / spent


def connect(store: Store, role: str) -> StoreClient:
    return StoreClient(Settings(store=StoreSettings(url=store.url)), store.home, role)


def measure(store: Store, events: int) -> None:
    """Fill, then expire the oldest days with inserts beside them, and without."""
    writer, beside, retention = connect(store, "writer"), connect(store, "writer"), connect(store, "retention")
    feed = Feed()
    fill(EventWriter(writer), writer, feed, events)
    prepared = list(feed.make(DAYS + 1, BATCH_EVENTS * INSERT_BATCHES * 4))
    time.sleep(REST_S)
    end = time.perf_counter() + max(5.0, events / 1e6)
    rows, spent = insert_until(beside, prepared, lambda: time.perf_counter() > end)
    alone = rows / spent
    is_over = threading.Event()
    found: list[tuple[int, float]] = []
    thread = threading.Thread(target=lambda: found.append(insert_until(beside, prepared, is_over.is_set)))
    thread.start()
    took = [expire(writer, retention, day, {}) for day in range(EXPIRED)]
    is_over.set()
    thread.join()
    held = [expire(writer, retention, EXPIRED + day, {"h-1": HOLD}) for day in range(3)]
    by_day = [insert_beside_one(store, prepared, EXPIRED + 3 + day) for day in range(3)]
    record("retention.expire", statistics.median(seconds for seconds, _ in took), f"s a day of {took[0][1]:,} events")
    record("retention.expire.held", statistics.median(seconds for seconds, _ in held), "s, one session of 100 held")
    with_expiry = found[0][0] / found[0][1]
    record("retention.insert.alone", alone, "rows/s")
    day = statistics.median(by_day)
    record("retention.insert.day", day, "rows/s", "retention.insert.alone", day / alone)
    record("retention.insert.beside", with_expiry, "rows/s", "retention.insert.alone", with_expiry / alone)
    for client in (writer, beside, retention):
        client.close()


def main(arguments: list[str]) -> int:
    events = int(arguments[0]) if arguments else EVENTS
    with tempfile.TemporaryDirectory(prefix="custody-bench-") as name, run_store(Path(name)) as store:
        measure(store, events)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
