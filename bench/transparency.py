"""The transparency log: durable leaves a second, time to a witnessed checkpoint, proofs, verification, bytes on disk.

log.durable              leaves a second from a batch's bytes to the fsynced journal, 20,000 events a write
log.derive, log.durable.cpu   CPU seconds a million events: leaves alone; with tree, journal and tiles
log.witnessed.p99        event handed to the log -> checkpoint with the witness's cosignature published, under load
log.verify.tree          leaves a second: the root made anew from the entries of a log of a million leaves
log.verify.records       the same with every record opening its leaf, and the numbers of sessions added up
log.proof.*              inclusion proof at a million leaves
log.bytes                bytes of the public directory an event
store.bytes              bytes on the store's disk an event, compressed, with canonical bytes and opening
"""

import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from bench.results import record
from bench.retention import vary
from schemas.config import Settings
from schemas.config import Store as StoreSettings
from schemas.wire import framing
from sinks.clickhouse.client import StoreClient
from sinks.clickhouse.writer import EventWriter
from sinks.transparency.audit import Auditor, Found, Ledger, State
from sinks.transparency.leaf import BatchLeaf, EventLeaf, commit, encode_event, parse_leaf
from sinks.transparency.log import Log, LogReader
from sinks.transparency.merkle import check_inclusion, hash_leaf
from sinks.transparency.orders import Orders
from sinks.transparency.publisher import Published, Publisher
from sinks.transparency.quorum import format_policy, parse_policy
from sinks.transparency.reading import iterate_bundles, verify_tree
from sinks.transparency.storage import DirectoryStorage
from sinks.transparency.walk import derive_leaves
from tests.sinks.batches import make_batch
from tests.sinks.clickhouse.stored import as_batch
from tests.sinks.transparency.logs import ORIGIN, SIGNER, VERIFIER
from tests.sinks.transparency.witnessing import run_witness
from tests.support.store import run_store

BATCH_EVENTS: Final = 200
WRITE_BATCHES: Final = 100
LEAVES: Final = 1_000_000
LOAD_S: Final = 20.0
INTERVAL_S: Final = 0.5
BATCHES_PER_S: Final = 50
STORED_BATCHES: Final = 500
MERGE_WAIT_S: Final = 10.0


def make_records(count: int) -> list[bytes]:
    """Framed batches as they are on Kafka."""
    return [framing.encode(make_batch(n % 4, n // 4, BATCH_EVENTS)) for n in range(count)]


def measure_writing(directory: Path) -> Log:
    """A log of about LEAVES leaves; the same records again and again, which the log does not mind."""
    records = make_records(WRITE_BATCHES)
    log = Log(DirectoryStorage(directory / "log"), directory / "state", ORIGIN)
    log.open()
    derive_cpu = 0.0
    events = 0
    started, cpu = time.perf_counter(), time.process_time()
    while log.size < LEAVES:
        before = time.process_time()
        leaves = [derive_leaves(data) for data in records]
        derive_cpu += time.process_time() - before
        framed = [item for leaf in leaves for item in leaf.framed]
        hashes = [item for leaf in leaves for item in leaf.hashes]
        log.append(framed, hashes, {})
        events += BATCH_EVENTS * WRITE_BATCHES
    took, spent = time.perf_counter() - started, time.process_time() - cpu
    record("log.durable", log.size / took, "leaves/s")
    record("log.durable.cpu", spent / events * 1e6, "CPU s per million events")
    record("log.derive", derive_cpu / events * 1e6, "CPU s per million events")
    log.stage(log.head())
    log.settle()
    size = sum(path.stat().st_size for path in (directory / "log").rglob("*") if path.is_file())
    record("log.bytes", size / events, "bytes per event")
    return log


def measure_proofs(directory: Path, log: Log) -> None:
    """Proofs of random leaves out of the tiles on disk."""
    reader = LogReader(DirectoryStorage(directory / "log"), log.size)
    dice = random.Random(1)
    times, lengths = [], []
    for _ in range(200):
        index = dice.randrange(log.size)
        before = time.perf_counter()
        proof = reader.prove_inclusion(index)
        times.append(time.perf_counter() - before)
        lengths.append(len(proof))
        entry = reader.bundle(index // 256)[index % 256]
        check_inclusion(proof, index, hash_leaf(entry), log.size, log.root)
    record("log.proof.time", statistics.median(times) * 1e3, "ms")
    record("log.proof.size", max(lengths) * 32, "bytes")


def measure_verification(directory: Path, log: Log) -> None:
    """The tree alone; then the states of leaves whose records are at hand."""
    reader = LogReader(DirectoryStorage(directory / "log"), log.size)
    started = time.process_time()
    verify_tree(reader, log.root, {}, Orders(), lambda index, leaf: None)
    record("log.verify.tree", log.size / (time.process_time() - started), "leaves per CPU s")
    opening, canonical = b"o" * 16, b"c" * 600
    entries = []
    for _, found in iterate_bundles(reader):
        for entry in found:
            leaf = parse_leaf(entry)
            if isinstance(leaf, EventLeaf):
                entry = encode_event(leaf._replace(seq=len(entries), commitment=commit(opening, canonical)))
            entries.append(entry)
        if len(entries) >= 100_000:
            break
    started = time.process_time()
    auditor, ledger, row = Auditor(Orders(), 0), Ledger(), Found(opening, canonical)
    for index, entry in enumerate(entries):
        leaf = parse_leaf(entry)
        if isinstance(leaf, EventLeaf | BatchLeaf):
            ledger.add(index, leaf)
        if isinstance(leaf, EventLeaf):
            auditor.judge(index, leaf, row)
    spent = time.process_time() - started
    if auditor.report.states[State.PRESENT] < 90_000:
        raise SystemExit("the records do not open their leaves")
    record("log.verify.records", len(entries) / spent, "leaves per CPU s")


def measure_store(directory: Path) -> None:
    """Rows of 100,000 events with texts that differ, after the store's own merges."""
    with run_store(directory) as store:
        client = StoreClient(Settings(store=StoreSettings(url=store.url)), store.home, "writer")
        writer = EventWriter(client)
        for first in range(0, STORED_BATCHES, WRITE_BATCHES):
            batches = [make_batch(n % 4, n // 4, BATCH_EVENTS) for n in range(first, first + WRITE_BATCHES)]
            for number, item in enumerate(item for batch in batches for item in batch.events):
                vary(item.event, first * BATCH_EVENTS + number)
            writer.store_rows([as_batch(batch) for batch in batches], "", False)
        time.sleep(MERGE_WAIT_S)
        sql = """SELECT sum(bytes_on_disk), sum(rows) FROM system.parts
            WHERE database = 'custody' AND table = 'events' AND active"""
        ((size, rows),) = client.query(sql)
        client.close()
    record("store.bytes", size / rows, "bytes per event")


def measure_latency(directory: Path) -> None:
    """10,000 events a second for a while, with a witness over HTTP on loopback."""
    records = make_records(BATCHES_PER_S * 2)
    waiting: list[tuple[int, float]] = []
    latencies: list[float] = []

    def note(published: Published) -> None:
        now = time.perf_counter()
        if not published.is_witnessed:
            raise SystemExit("a checkpoint was not witnessed")
        while waiting and waiting[0][0] <= published.head.size:
            latencies.append(now - waiting.pop(0)[1])

    with run_witness(directory / "witness") as witness:
        policy = parse_policy(format_policy([VERIFIER], [witness], 1))
        storage = DirectoryStorage(directory / "log")
        log = Log(storage, directory / "state", ORIGIN)
        log.open()
        publisher = Publisher(log, storage, SIGNER, policy, interval_s=INTERVAL_S, note=note)
        started = time.perf_counter()
        sent = 0
        while (now := time.perf_counter()) - started < LOAD_S:
            if sent < (now - started) * BATCHES_PER_S:
                leaves = derive_leaves(records[sent % len(records)])
                log.append(leaves.framed, leaves.hashes, {})
                waiting.append((log.size, now))
                sent += 1
            else:
                time.sleep(0.002)
            publisher.work()
        publisher.flush()
        publisher.close()
        log.close()
    latencies.sort()
    record("log.witnessed.p50", latencies[len(latencies) // 2] * 1e3, "ms")
    record("log.witnessed.p99", latencies[len(latencies) * 99 // 100] * 1e3, "ms")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="custody-bench-") as name:
        directory = Path(name)
        log = measure_writing(directory / "large")
        measure_proofs(directory / "large", log)
        measure_verification(directory / "large", log)
        log.close()
        measure_store(directory / "store")
        measure_latency(directory / "live")
    return 0


if __name__ == "__main__":
    sys.exit(main())
