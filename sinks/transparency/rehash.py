"""Rows compared with their leaves on a schedule, so that an alteration is noticed without anybody asking.

A sample every hour, everything every week, in a thread of its own and at a fifth of a processor. A row must open its
leaf's commitment and say in its columns what its committed bytes say; a row that is gone needs an order of its day or
session. What does not fit becomes a detection and an alarm. This is a smoke detector: orders are taken from the store
here, and holds are not looked at. The proof is `custody verify`, which believes the log alone.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from schemas.config import Transparency
from schemas.errors import ProofError, Unreachable
from schemas.events import Detection, Origin, Severity
from schemas.runtime import now_us
from sinks.clickhouse.client import StoreClient
from sinks.clickhouse.progress import ProgressLedger
from sinks.clickhouse.row_check import ROWS, judge_row
from sinks.origins import Position
from sinks.transparency.audit import Found
from sinks.transparency.leaf import EventLeaf, commit, parse_leaf
from sinks.transparency.log import LogReader, Readable, read_checkpoint
from sinks.transparency.orders import day_of, parse_seqs
from sinks.transparency.tiles import WIDTH

SAMPLE_BUNDLES: Final = 64
"""Of 256 leaves each."""
MAX_FINDINGS: Final = 20
"""Of one run, as detections; all are counted."""
GRACE_US: Final = 600_000_000
DUTY: Final = 0.2
LEDGER: Final = "transparency.rehash"
RULE: Final = "record-integrity"
VERSION: Final = "1"

EXPIRIES: Final = "SELECT DISTINCT retention_class, day FROM custody.retention_actions WHERE action = 'expire'"
ERASURES: Final = """SELECT evidence['session_id'], evidence['seqs'] FROM custody.retention_actions
    WHERE action = 'erase'"""
PROGRESS: Final = """SELECT log_id, partition, max(offset) FROM custody.progress
    WHERE sink = 'clickhouse' GROUP BY log_id, partition"""

_log = logging.getLogger(__name__)
Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """A leaf whose row is not what it should be."""

    index: int
    leaf: EventLeaf
    what: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run saw: leaves compared, findings counted, and the first of them."""

    leaves: int
    faults: int
    findings: tuple[Finding, ...]


def compare(
    store: StoreClient, reader: LogReader, bundles: Sequence[int], rest: Callable[[float], None] = lambda spent: None
) -> Outcome:
    """Compare the events of some bundles with their rows. `rest` is told the seconds spent on each.

    Raises Unreachable, ProofError.
    """
    leaves = faults = 0
    findings: list[Finding] = []
    for number in bundles:
        began = time.perf_counter()
        events = [
            (index, leaf)
            for index, leaf in enumerate(map(parse_leaf, reader.bundle(number)), number * WIDTH)
            if isinstance(leaf, EventLeaf)
        ]
        leaves += len(events)
        found = list(_find_faults(store, events))
        faults += len(found)
        findings += found[: MAX_FINDINGS - len(findings)]
        rest(time.perf_counter() - began)
    return Outcome(leaves, faults, tuple(findings))


def _find_faults(store: StoreClient, events: Sequence[tuple[int, EventLeaf]]) -> Iterator[Finding]:
    rows = _read_rows(store, events)
    absent: list[tuple[int, EventLeaf]] = []
    for index, leaf in events:
        present = rows.get((leaf.origin.log_id, leaf.origin.partition, leaf.origin.offset, leaf.position))
        if present is None:
            absent.append((index, leaf))
        elif commit(present.opening, present.canonical) != leaf.commitment:
            yield Finding(index, leaf, "the row does not open its commitment")
        elif present.fault:
            yield Finding(index, leaf, present.fault)
    if absent:
        yield from _judge_absent(store, absent)


def _read_rows(store: StoreClient, events: Sequence[tuple[int, EventLeaf]]) -> dict[tuple[str, int, int, int], Found]:
    ranges: dict[Key, tuple[int, int]] = {}
    for _, leaf in events:
        key, offset = (leaf.origin.log_id, leaf.origin.partition), leaf.origin.offset
        low, high = ranges.get(key, (offset, offset))
        ranges[key] = (min(low, offset), max(high, offset))
    found = {}
    for (log_id, partition), (first, last) in ranges.items():
        for row in store.rows(ROWS, log_id=log_id, partition=partition, first=first, last=last):
            found[log_id, partition, row["offset"], row["position"]] = judge_row(row)
    return found


def _judge_absent(store: StoreClient, absent: Sequence[tuple[int, EventLeaf]]) -> Iterator[Finding]:
    """Those whose day or session no order names, and that are not on their way."""
    days = set(store.query(EXPIRIES))
    sessions: dict[str, list[str]] = {}
    for session_id, seqs in store.query(ERASURES):
        sessions.setdefault(session_id, []).append(seqs)
    stored = {(log_id, partition): offset for log_id, partition, offset in store.query(PROGRESS)}
    recent = now_us() - GRACE_US
    for index, leaf in absent:
        if (leaf.retention_class, day_of(leaf.at)) in days or _is_erased(leaf, sessions.get(leaf.session_id, [])):
            continue
        is_stored = leaf.origin.offset <= stored.get((leaf.origin.log_id, leaf.origin.partition), -1)
        if is_stored or leaf.at < recent:
            yield Finding(index, leaf, "the row is missing, and no order names it")


def _is_erased(leaf: EventLeaf, orders: Sequence[str]) -> bool:
    for seqs in orders:
        try:
            if not seqs or any(first <= leaf.seq <= last for first, last in parse_seqs(seqs)):
                return True
        except ValueError:
            continue
    return False


def describe_finding(finding: Finding) -> Detection:
    """The detection of a finding: the same one has the same id, however often it is seen."""
    leaf = finding.leaf
    origin = Origin(leaf.origin.log_id, leaf.origin.partition, leaf.origin.offset)
    identity = f"{RULE}/{origin.log_id}/{origin.partition}/{origin.offset}/{leaf.position}"
    return Detection(
        sha256(identity.encode()).hexdigest()[:32], now_us(), RULE, VERSION, Severity.CRITICAL.value,
        "A record is not what the transparency log committed to", "", "", "", leaf.session_id, origin, leaf.position,
        [f"{leaf.session_id}:{leaf.seq}"], {"leaf": str(finding.index), "what": finding.what},
    )  # fmt: skip


class Rehash:
    """The schedule. `alert` makes detections durable. Runs are noted in the store: a restart does not repeat them."""

    def __init__(
        self,
        settings: Transparency,
        store: StoreClient,
        storage: Readable,
        alert: Callable[[Sequence[Detection]], None],
    ) -> None:
        self.faults = 0  # of the last run
        self.leaves = 0
        self._store, self._storage, self._alert = store, storage, alert
        self._intervals = {"sample": settings.rehash_sample_s, "full": settings.rehash_full_s}
        self._ledgers = {name: ProgressLedger(store, f"{LEDGER}.{name}") for name in self._intervals}
        self._due: dict[str, float] = {}
        self._executor = ThreadPoolExecutor(1, "rehash")
        self._job: Future[None] | None = None
        self._is_closing = False
        self._dice = random.SystemRandom()

    def work(self) -> None:
        """Begin a run when one is due. Never raises, never waits."""
        if self._job is None or self._job.done():
            self._job = self._executor.submit(self._look) if any(self._intervals.values()) and self._is_due() else None

    def close(self) -> None:
        """Break a run off."""
        self._is_closing = True
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._store.close()

    def _is_due(self) -> bool:
        now = time.time()
        return not self._due or any(at <= now for at in self._due.values())

    def _look(self) -> None:
        """In the thread: find out what is due, if that is not known, and do it."""
        try:
            if not self._due:
                self._due = {name: self._read_due(name) for name, interval in self._intervals.items() if interval}
            for name in [name for name, at in self._due.items() if at <= time.time()]:
                self._run(name)
        except (Unreachable, ProofError) as error:
            _log.warning("comparing rows with leaves: %s", error)
            self._due = {name: max(at, time.time() + 60) for name, at in self._due.items()}
        except _Closing:
            return

    def _read_due(self, name: str) -> float:
        last = self._ledgers[name].read().get(0)
        # A new home is looked at for the first time after a whole interval.
        if last is None:
            self._note(name)
            return time.time() + self._intervals[name]
        return last.offset + self._intervals[name]

    def _note(self, name: str) -> None:
        self._ledgers[name].write({0: Position(LEDGER, int(time.time()))})

    def _run(self, name: str) -> None:
        found = read_checkpoint(self._storage)
        size = found[0].size if found is not None else 0
        bundles = range((size + WIDTH - 1) // WIDTH)
        chosen = sorted(self._dice.sample(bundles, min(SAMPLE_BUNDLES, len(bundles)))) if name == "sample" else bundles
        outcome = compare(self._store, LogReader(self._storage, size), chosen, self._rest)
        if outcome.findings:
            _log.error("alarm: %d of %d leaves do not fit their rows", outcome.faults, outcome.leaves)
            self._alert([describe_finding(finding) for finding in outcome.findings])
        self.faults, self.leaves = outcome.faults, outcome.leaves
        self._note(name)
        self._due[name] = time.time() + self._intervals[name]

    def _rest(self, spent: float) -> None:
        deadline = time.monotonic() + spent * (1 / DUTY - 1)
        while (left := deadline - time.monotonic()) > 0:
            if self._is_closing:
                raise _Closing
            time.sleep(min(left, 0.2))


class _Closing(Exception):
    """The process ends in the middle of a run."""
