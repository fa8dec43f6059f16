"""The ClickHouse sink as a process, with the real broker and store: killed, stopped, left without its peers."""

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import NewPartitions

from schemas.config import Settings
from schemas.config import Store as StoreSettings
from schemas.runtime import Home, read_run_state
from schemas.topics import SESSIONS
from sinks.clickhouse.client import StoreClient
from sinks.runner import SINKS
from tests.sinks.batches import DAY_US, LOG_ID, Feed, make_batch, make_gap
from tests.sinks.clickhouse.stored import expected, stored
from tests.sinks.running import ROOT, SinkProcess, connect_sink, run_sink
from tests.support.kafka import Kafka
from tests.support.store import Store, run_store, start_store

CLICKHOUSE = ("clickhouse", "sink-clickhouse")


@pytest.fixture
def feed(kafka: Kafka) -> Feed:
    kafka.reset_topics()
    return Feed(kafka.client_config("mask"))


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[Store]:
    """Progress is per sink, so a test that starts from nothing needs a store of its own."""
    with run_store(tmp_path / "store") as running:
        yield running


@pytest.fixture
def sink_home(home: Home, kafka: Kafka, own_store: Store) -> Home:
    connect_sink(home, kafka, own_store, store={"insert_rows": 400, "insert_interval_ms": 20})
    return home


@pytest.fixture
def client(own_store: Store) -> Iterator[StoreClient]:
    client = StoreClient(Settings(store=StoreSettings(url=own_store.url)), own_store.home, "writer")
    yield client
    client.close()


MAX_AHEAD_EVENTS = 20_000
"""So far the load may be ahead of what was stored: otherwise a slow start of the sink makes the whole test longer."""


def count(client: StoreClient) -> int:
    return int(client.query("SELECT count() FROM custody.events")[0][0])


def progress(sink: SinkProcess) -> dict[str, int]:
    return dict(sink.detail().get("progress", {}))


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=[pytest.mark.soak, pytest.mark.timeout(1500)])])
def test_killed_at_random_moments_under_load(kills: int, feed: Feed, sink_home: Home, client: StoreClient) -> None:
    """Batches over several days, so that one INSERT is several commits; every row once, no hole."""
    partitions, events = range(4), 12
    sent, stored_before, stop, chance = [0], [0], threading.Event(), random.Random(kills)

    def load() -> None:
        while not stop.is_set():
            if sent[0] * len(partitions) * events > stored_before[0] + MAX_AHEAD_EVENTS:  # starts take what they take
                time.sleep(0.01)
                continue
            feed.send([make_batch(p, sent[0], events, day_step=DAY_US // 4) for p in partitions])
            if sent[0] % 7 == 3:  # mask restarted: the batch once more, under newer rules
                feed.send([make_batch(p, sent[0], events, day_step=DAY_US // 4, rule_version="r2") for p in partitions])
            sent[0] += 1
            time.sleep(0.005)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        with run_sink(sink_home, *CLICKHOUSE) as sink:
            for _ in range(kills):
                stored_before[0] = before = count(client)
                sink.wait(lambda before=before: count(client) > before)  # type: ignore[misc]
                time.sleep(chance.random() * 0.5)
                sink.stop(signal.SIGKILL)
                sink.start()
            stop.set()
            thread.join()
            sink.wait(lambda: progress(sink) == {str(p): sent[0] - 1 for p in partitions})
            assert sink.stop() == 0
    finally:
        stop.set()
        thread.join()
    assert stored(client, LOG_ID) == expected({p: range(sent[0]) for p in partitions}, events)
    assert client.query("SELECT DISTINCT rule_version FROM custody.events") == [("r1",)]


def test_a_restart_goes_on_and_old_rows_do_not_come_back(
    kafka: Kafka, feed: Feed, sink_home: Home, own_store: Store, client: StoreClient
) -> None:
    """A dropped partition stays dropped; a repeat is skipped; a dead letter and a new partition are taken."""
    feed.send([make_batch(0, offset) for offset in range(5)] + [make_gap(1, 0)])
    with run_sink(sink_home, *CLICKHOUSE) as sink:
        sink.wait(lambda: progress(sink) == {"0": 4, "1": 0})
        sink.stop(signal.SIGKILL)
        client.query("SELECT 1")
        sink.start()
        sink.wait(lambda: progress(sink) == {"0": 4, "1": 0})
        assert sink.stop() == 0
        retention = own_store.client("retention")
        for (partition,) in client.query("SELECT DISTINCT toYYYYMMDD(at) FROM custody.events"):
            retention.command(f"ALTER TABLE custody.events DROP PARTITION ('standard', {partition})")
        assert count(client) == 0
        sink.start()
        feed.send([make_batch(0, 4), make_batch(0, 5), make_gap(1, 1, "duplicate")])
        sink.wait(lambda: progress(sink) == {"0": 5, "1": 1})
        admin = kafka.admin()
        admin.create_partitions([NewPartitions(SESSIONS, 5)])[SESSIONS].result(30)
        time.sleep(0.5)
        Feed(kafka.client_config("mask")).send([make_batch(4, 0)])
        sink.wait(lambda: progress(sink) == {"0": 5, "1": 1, "4": 0})
    assert stored(client, LOG_ID) == [*expected({0: [5]}), (1, 1, 0), *expected({4: [0]})]


def test_a_recreated_raw_topic_stops_the_sink_with_an_alarm(feed: Feed, sink_home: Home, client: StoreClient) -> None:
    feed.send([make_batch(0, offset) for offset in range(3)])
    with run_sink(sink_home, *CLICKHOUSE) as sink:
        sink.wait(lambda: progress(sink) == {"0": 2})
        feed.send([make_batch(0, 0, log_id="another-log")])
        sink.wait(lambda: sink.detail().get("state") == "stopped")
        assert "another-log" in sink.detail()["alarms"]["sessions[0]"] and "alarm" in sink.log
        feed.send([make_batch(1, 0)])
        sink.wait(lambda: progress(sink) == {"0": 2, "1": 0})
        sink.stop()
    assert stored(client, LOG_ID) == expected({0: range(3), 1: [0]})
    assert stored(client, "another-log") == []


def test_an_absent_store_is_waited_for(feed: Feed, home: Home, kafka: Kafka, tmp_path: Path) -> None:
    with run_store(tmp_path / "store") as first:
        port = first.port
        connect_sink(home, kafka, first)
        first.kill()
        feed.send([make_batch(0, 0)])
        with run_sink(home, *CLICKHOUSE) as sink:
            sink.wait(lambda: sink.detail().get("state") == "waiting")
            state = read_run_state(home, "sink-clickhouse")
            assert state is not None and not state.is_ready and "store" in state.detail["waiting"]
            second = start_store(tmp_path / "store", port)
            try:
                sink.wait(lambda: progress(sink) == {"0": 0})
                second.kill()
                feed.send([make_batch(0, 1)])
                sink.wait(lambda: sink.detail().get("state") == "waiting")
                second = start_store(tmp_path / "store", port)
                sink.wait(lambda: progress(sink) == {"0": 1})
                client = StoreClient(Settings(store=StoreSettings(url=second.url)), second.home, "writer")
                assert stored(client, LOG_ID) == expected({0: range(2)})
                client.close()
                second.kill()
                feed.send([make_batch(0, 2)])
                sink.wait(lambda: sink.detail().get("state") == "waiting")
                assert sink.stop() == 0  # a waiting sink ends in order too
            finally:
                second.close()


def test_usage_and_a_sink_that_is_off(bare_home: Home) -> None:
    run = [sys.executable, "-m", "sinks.runner"]
    wrong = subprocess.run([*run, "nothing"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert wrong.returncode == 2 and all(name in wrong.stderr for name in SINKS)
    off = subprocess.run([*run, "siem-syslog"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert off.returncode == 0 and "is off" in off.stderr
