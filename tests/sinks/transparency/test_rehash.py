"""Rows of the real store against leaves of a log, as the schedule compares them."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from schemas.config import Settings, Transparency
from schemas.config import Store as StoreSettings
from schemas.errors import Unreachable
from schemas.events import Detection, EventBatch
from schemas.wire import framing
from sinks.clickhouse.client import StoreClient
from sinks.clickhouse.progress import ProgressLedger
from sinks.clickhouse.writer import EventWriter
from sinks.origins import Position
from sinks.transparency.log import LogReader
from sinks.transparency.orders import day_of
from sinks.transparency.rehash import Rehash, compare, describe_finding
from sinks.transparency.storage import DirectoryStorage
from sinks.transparency.walk import derive_leaves
from tests.sinks.batches import DAY_US, START_US, make_batch
from tests.sinks.clickhouse.stored import as_batch
from tests.sinks.row_values import row_values
from tests.sinks.transparency.logs import open_log, publish
from tests.support.store import Store, run_store


class Place:
    """Batches in the store and in a log of their own, which names its classes so that tests do not meet."""

    def __init__(self, store: Store, directory: Path) -> None:
        settings = Settings(store=StoreSettings(url=store.url))
        self.writer = StoreClient(settings, store.home, "writer")
        self.retention = StoreClient(settings, store.home, "retention")
        self.make = lambda: StoreClient(settings, store.home, "writer")
        self.name = f"r-{uuid4()}"
        self.batches: list[EventBatch] = [
            make_batch(p, 0, 40, log_id=self.name, at=START_US + p * DAY_US, retention_class=self.name)
            for p in range(10)
        ]
        for batch in self.batches:
            for item in batch.sessions:
                item.session_id = f"{self.name}-{item.session_id}"
        EventWriter(self.writer).store_rows([as_batch(batch) for batch in self.batches], "", False)
        progress = ProgressLedger(self.writer, "clickhouse")
        progress.write({partition: Position(self.name, 0) for partition in range(10)})
        log = open_log(directory)
        leaves = [derive_leaves(framing.encode(batch)) for batch in self.batches]
        log.append([item for leaf in leaves for item in leaf.framed], [h for leaf in leaves for h in leaf.hashes], {})
        publish(log)
        self.size = log.size
        log.close()
        self.storage = DirectoryStorage(directory / "log")

    def look(self) -> list[str]:
        outcome = compare(self.writer, LogReader(self.storage, self.size), [0, 1])
        assert outcome.leaves == 400 and outcome.faults >= len(outcome.findings)
        return [finding.what for finding in outcome.findings]

    def delete(self, where: str) -> None:
        sql = f"ALTER TABLE custody.events DELETE WHERE log_id = '{self.name}' AND {where}"
        self.retention.command(sql, comment="ERASE as-root-would")

    def act(self, action: str, day: str = "", **evidence: str) -> None:
        row = {"order_id": [str(uuid4())], "action": [action], "retention_class": [self.name], "day": [day]}
        self.writer.insert("retention_actions", {**row, "evidence": [evidence]})


@pytest.fixture(scope="module")
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Deleting rows takes the longer the more others there are."""
    with run_store(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture
def place(own_store: Store, tmp_path: Path) -> Iterator[Place]:
    place = Place(own_store, tmp_path)
    yield place
    place.writer.close()
    place.retention.close()


def test_what_was_altered_or_is_gone_without_an_order_is_found(place: Place) -> None:
    assert place.look() == []
    # A row comes back with another status; one with other bytes.
    rows = {name: [column[3]] for name, column in row_values(place.batches[2:3]).items()}
    place.delete("partition = 2 AND position = 3")
    assert place.look() == ["the row is missing, and no order names it"]
    place.writer.insert("events", {**rows, "status": [b"42501"]})
    assert place.look() == ["its columns status are not what its committed bytes say"]
    place.delete("partition = 2 AND position = 3")
    place.writer.insert("events", {**rows, "opening": [b"x" * 16]}, "forged")
    assert place.look() == ["the row does not open its commitment"]
    place.delete("partition = 2 AND position = 3")
    place.writer.insert("events", rows, "as-it-was")
    # Days and sessions that an order names may go.
    place.act("expire", day_of(START_US + 4 * DAY_US))
    place.act("erase", session_id=f"{place.name}-s-5", seqs="1-10")
    place.delete("partition = 4 OR (partition = 5 AND seq <= 11)")
    assert place.look() == ["the row is missing, and no order names it"]


def test_findings_are_detections_with_ids_of_their_own(place: Place) -> None:
    place.delete("partition = 1 AND position < 30")
    outcome = compare(place.writer, LogReader(place.storage, place.size), [0])
    assert outcome.faults == 30 and len(outcome.findings) == 20
    first, again = (describe_finding(outcome.findings[0]) for _ in range(2))
    assert first.detection_id == again.detection_id and first.severity == "critical"
    assert first.evidence == [f"{place.name}-s-1:1"] and first.attributes["leaf"] == "42"
    assert len({describe_finding(item).detection_id for item in outcome.findings}) == 20


def run_until(rehash: Rehash, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        rehash.work()
        time.sleep(0.01)


def test_runs_come_when_they_are_due_and_are_not_repeated(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.transparency.rehash.LEDGER", place.name)
    monkeypatch.setattr("sinks.transparency.rehash.DUTY", 0.99)
    settings = Transparency(rehash_sample_s=0, rehash_full_s=1000)
    told: list[Detection] = []
    rehash = Rehash(settings, place.make(), place.storage, told.extend)
    run_until(rehash, lambda: rehash._due)
    assert rehash._due["full"] > time.time() + 900 and not told  # a new home is looked at after an interval
    rehash.close()
    place.delete("partition = 7 AND position = 0")
    ProgressLedger(place.writer, f"{place.name}.full").write({0: Position(place.name, int(time.time()) + 1)})
    settings = Transparency(rehash_sample_s=0, rehash_full_s=1)
    calls = 0

    def alert(detections: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise Unreachable("no broker")
        told.extend(detections)  # type: ignore[arg-type]

    rehash = Rehash(settings, place.make(), place.storage, alert)
    run_until(rehash, lambda: calls)
    run_until(rehash, lambda: rehash._job is None or rehash._job.done())
    rehash._due = {"full": 0.0}  # a minute later
    run_until(rehash, lambda: told)
    run_until(rehash, lambda: rehash.faults)
    assert rehash.leaves == 400 and rehash.faults == 1
    assert {item.attributes["what"] for item in told} == {"the row is missing, and no order names it"}
    rehash.close()
