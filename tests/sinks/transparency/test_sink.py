"""The transparency sink as a process, with the real broker: killed, left without its peers, compared with Kafka."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.config import find_settings
from schemas.events import ControlKind, RetentionAction, RetentionVerb
from schemas.holds import parse_hold
from schemas.runtime import Home
from schemas.topics import RETENTION
from schemas.wire import framing
from schemas.wire.control import ControlWriter
from sinks.clickhouse.progress import WITNESSED
from sinks.transparency.hold_leaf import opens
from sinks.transparency.leaf import BatchLeaf, EventLeaf, HoldLeaf, RetentionLeaf, parse_leaf
from sinks.transparency.log import LogReader, read_checkpoint
from sinks.transparency.merkle import hash_leaf, root_of
from sinks.transparency.note import open_checkpoint
from sinks.transparency.place import find_log
from sinks.transparency.quorum import find_cosigners
from sinks.transparency.storage import DirectoryStorage
from tests.sinks.batches import Feed, make_batch, make_gap
from tests.sinks.running import SinkProcess, connect_sink, run_sink
from tests.sinks.transparency.rederived import Key, rederive
from tests.support.homes import connect_home
from tests.support.kafka import Kafka
from tests.support.ports import get_free_port
from tests.support.store import Store

SINK = ("transparency", "sink-transparency")


@pytest.fixture
def feed(kafka: Kafka) -> Feed:
    kafka.reset_topics()
    return Feed(kafka.client_config("mask"))


@pytest.fixture
def sink_home(home: Home, kafka: Kafka) -> Home:
    """Nothing answers where the store and the witness should be."""
    dead = f"http://127.0.0.1:{get_free_port()}"
    connect_home(home, kafka, store={"url": dead}, transparency={"checkpoint_interval_ms": 50})
    return home


def read_log(home: Home) -> list[bytes]:
    """Every entry under the published checkpoint, verified against its root and the log's key."""
    place = find_log(find_settings(home), home)
    storage = DirectoryStorage(place.directory)
    found = read_checkpoint(storage)
    if found is None:
        return []
    checkpoint, _ = open_checkpoint(found[1], place.policy.log_keys)
    reader = LogReader(storage, checkpoint.size)
    entries = [entry for number in range((checkpoint.size + 255) // 256) for entry in reader.bundle(number)]
    assert root_of([hash_leaf(entry) for entry in entries]) == checkpoint.root == reader.root_at(checkpoint.size)
    return entries


def keyed(entries: list[bytes]) -> dict[Key, bytes]:
    found: dict[Key, bytes] = {}
    for entry in entries:
        leaf = parse_leaf(entry)
        assert isinstance(leaf, EventLeaf | BatchLeaf)
        position = leaf.position if isinstance(leaf, EventLeaf) else -1
        key = (leaf.origin.log_id, leaf.origin.partition, leaf.origin.offset, position)
        assert key not in found, f"{key} is in the log twice"
        found[key] = entry
    return found


def wait_for_leaves(sink: SinkProcess, home: Home, count: int) -> dict[Key, bytes]:
    sink.wait(lambda: sink.detail().get("published_size", 0) >= count)
    return keyed(read_log(home))


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=[pytest.mark.soak, pytest.mark.timeout(1500)])])
def test_killed_at_random_moments_a_second_consumer_derives_the_same_leaves(
    kills: int, feed: Feed, sink_home: Home, kafka: Kafka
) -> None:
    sent, stop, chance = [0], threading.Event(), random.Random(kills)

    def load() -> None:
        while not stop.is_set():
            feed.send([make_batch(p, sent[0], 12) for p in range(4)])
            if sent[0] % 7 == 3:  # mask restarted: the batch once more, under newer rules
                feed.send([make_batch(p, sent[0], 12, rule_version="r2") for p in range(4)])
            sent[0] += 1
            time.sleep(0.03)

    thread = threading.Thread(target=load)
    thread.start()
    sizes = []
    try:
        for _ in range(kills):
            with run_sink(sink_home, *SINK) as sink:
                before = len(read_log(sink_home))
                sink.wait(lambda before=before, sink=sink: sink.detail().get("published_size", 0) > before)
                time.sleep(chance.random() * 0.4)  # then it is killed
            sizes.append(len(read_log(sink_home)))
    finally:
        stop.set()
        thread.join()
    feed.send([make_gap(p, sent[0]) for p in range(4)])
    wanted = rederive(kafka.client_config("sink-transparency"))
    with run_sink(sink_home, *SINK) as sink:
        found = wait_for_leaves(sink, sink_home, len(wanted))
        assert sink.stop() == 0
    assert found == wanted
    assert sizes == sorted(sizes) and sizes[0] > 0


def test_retention_actions_are_leaves(feed: Feed, sink_home: Home, kafka: Kafka) -> None:
    order = RetentionAction("expire/standard/2026-01-01", RetentionVerb.EXPIRE, "standard", "2026-01-01", 5, "max age")
    writer = Feed(kafka.client_config("retain"))
    writer.send_bytes(RETENTION, 0, framing.encode(order))
    writer.send_bytes(RETENTION, 0, b"no record")
    writer.flush()
    feed.send([make_batch(0, 0, 2)])
    with run_sink(sink_home, *SINK) as sink:
        sink.wait(lambda: sink.detail().get("published_size", 0) >= 4)
        assert sink.detail()["unreadable_records"] == 1
    leaves = [parse_leaf(entry) for entry in read_log(sink_home)]
    actions = [leaf for leaf in leaves if isinstance(leaf, RetentionLeaf)]
    assert len(leaves) == 4 and len(actions) == 1
    assert actions[0].fingerprint == framing.current_fingerprint("RetentionAction")
    assert framing.decode(framing.prefix_of("RetentionAction") + actions[0].action) == order


def test_holds_are_leaves_and_other_entries_of_control_are_not(feed: Feed, sink_home: Home, kafka: Kafka) -> None:
    placed = {
        "session": "s-0", "authority": "court", "reason": "case 7", "placed_by": "ann", "approved_by": "bob",
        "placed_at": 1, "opening": "ab" * 16,
    }  # fmt: skip
    released = {"released_by": "ann", "release_approved_by": "cid", "release_reason": "over", "released_at": 2}
    writer = ControlWriter(find_settings(sink_home), sink_home)
    writer.put(ControlKind.RESOURCE, "db", {"name": "db"})
    writer.put(ControlKind.LEGAL_HOLD, "h-1", placed)
    feed.send([make_batch(0, 0, 2)])
    with run_sink(sink_home, *SINK) as sink:
        sink.wait(lambda: sink.detail().get("published_size", 0) >= 4)
    writer.put(ControlKind.LEGAL_HOLD, "h-1", placed | released)
    with run_sink(sink_home, *SINK) as sink:
        sink.wait(lambda: sink.detail().get("published_size", 0) >= 5)
    leaves = [leaf for leaf in map(parse_leaf, read_log(sink_home)) if isinstance(leaf, HoldLeaf)]
    assert [(leaf.hold_id, leaf.is_placed) for leaf in leaves] == [("h-1", True), ("h-1", False)]
    assert all(opens(parse_hold("h-1", placed | released), leaf) for leaf in leaves)


def test_without_witness_and_store_it_goes_on_with_an_alarm(feed: Feed, sink_home: Home) -> None:
    feed.send([make_batch(0, 0, 5)])
    with run_sink(sink_home, *SINK) as sink:
        sink.wait(lambda: sink.detail().get("published_size", 0) == 6)
        sink.wait(lambda: "quorum" in sink.detail().get("alarms", {}).get("heads", ""))
        assert sink.detail()["unwitnessed_since"] > 0


def test_a_second_writer_is_refused(feed: Feed, sink_home: Home) -> None:
    feed.send([make_batch(0, 0, 5)])
    with run_sink(sink_home, *SINK) as sink:
        sink.wait(lambda: sink.detail().get("published_size", 0) == 6)
        second = SinkProcess(sink_home, *SINK)
        second.start()
        assert second.process is not None and second.process.wait(60) == 2
        assert "another process" in second.log
        feed.send([make_batch(0, 1, 5)])
        sink.wait(lambda: sink.detail().get("published_size", 0) == 12)


def test_the_store_is_told_what_was_witnessed(
    feed: Feed, home: Home, kafka: Kafka, store: Store, tmp_path: Path
) -> None:
    from tests.sinks.transparency.witnessing_home import run_home_witness

    connect_sink(home, kafka, store, transparency={"checkpoint_interval_ms": 50}, ports={"witness": get_free_port()})
    order = RetentionAction("expire/standard/2026-01-01", RetentionVerb.EXPIRE, "standard", "2026-01-01", 5, "max age")
    writer = Feed(kafka.client_config("retain"))
    writer.send_bytes(RETENTION, 0, framing.encode(order))
    writer.flush()
    feed.send([make_batch(0, 0, 5)])
    with run_home_witness(home), run_sink(home, *SINK) as sink:
        sink.wait(lambda: sink.detail().get("published_size", 0) == 7)
        assert sink.stop() == 0
    place = find_log(find_settings(home), home)
    client = store.client("reader")
    rows = client.query(
        "SELECT tree_size, note, length(cosignatures) FROM custody.checkpoints WHERE log = {log:String} ORDER BY 1",
        parameters={"log": place.origin},
    ).result_rows
    size, note, cosignatures = rows[-1]
    assert (size, cosignatures) == (7, 1)
    _, parsed = open_checkpoint(note.encode(), place.policy.log_keys)
    assert list(find_cosigners(parsed, place.policy)) == ["witness"]
    progress = dict(client.query("SELECT sink, max(offset) FROM custody.progress GROUP BY sink").result_rows)
    assert progress["transparency"] == 0 and progress[WITNESSED] == 0


@pytest.fixture(autouse=True)
def _other_homes_logs_are_apart(home: Home) -> Iterator[None]:
    """The home's keys are those of the whole run; each test's log directory is its own."""
    assert not (home.root / "transparency").exists()
    yield
