"""Orders to erase on the real store: killed at every step, refused where they must be, gone from the disk."""

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.config import Retention, RetentionClass, Settings
from schemas.config import Store as StoreSettings
from schemas.errors import Unreachable
from schemas.events import RetentionAction
from schemas.holds import LegalHold, parse_hold
from sinks.clickhouse.client import StoreClient
from sinks.clickhouse.erasure import Target, find_young, read_target
from sinks.clickhouse.expiry import Expiry
from sinks.clickhouse.writer import EventWriter
from tests.sinks.batches import DAY_US, START_US, make_event
from tests.sinks.clickhouse.stored import make
from tests.support.store import Store, run_store

RULES = Retention(classes={"standard": RetentionClass(max_age_days=365)})
APPROVED = {"by": "ann", "approved_by": "bob"}


@pytest.fixture(scope="module")
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store of this file's own, since its disk is searched."""
    with run_store(tmp_path_factory.mktemp("erased")) as running:
        yield running


class Sink:
    """What carries orders out, anew after each kill."""

    def __init__(self, store: Store, rules: Retention = RULES) -> None:
        settings = Settings(store=StoreSettings(url=store.url))
        self.writer = StoreClient(settings, store.home, "writer")
        self.retention = StoreClient(settings, store.home, "retention")
        self.rules, self.sent, self.holds = rules, list[RetentionAction](), dict[str, LegalHold]()
        self.acts_left = 1 << 30
        for client in (self.writer, self.retention):
            for name in ("command", "insert"):
                setattr(client, name, self._counted(getattr(client, name)))

    def _counted(self, act: Any) -> Any:
        def counted(*args: Any, **options: Any) -> Any:
            if self.acts_left == 0:
                raise KeyboardInterrupt
            self.acts_left -= 1
            return act(*args, **options)

        return counted

    def expiry(self, order: RetentionAction) -> Expiry:
        expiry = Expiry(self.writer, self.retention, self.rules, self._counted(self.sent.append), dict, self.read)
        expiry.note(order)
        return expiry

    def read(self) -> dict[str, LegalHold]:
        return dict(self.holds)

    def carry_out(self, order: RetentionAction, timeout_s: float = 90) -> RetentionAction:
        expiry, deadline = self.expiry(order), time.monotonic() + timeout_s
        while expiry.orders:
            expiry.work(lambda ends: True)
            assert time.monotonic() < deadline, "the store keeps old parts"
            time.sleep(0.2)
        return self.sent[-1]

    def count(self, session_id: str, table: str = "events", column: str = "session_id") -> int:
        sql = f"SELECT count() FROM custody.{table} WHERE {column} = {{id:String}}"
        return int(self.writer.query(sql, id=session_id)[0][0])


@pytest.fixture
def sink(own_store: Store) -> Iterator[Sink]:
    sink = Sink(own_store)
    yield sink
    sink.writer.close()
    sink.retention.close()


def order(session_id: str, order_id: str = "erase-1", **evidence: str) -> RetentionAction:
    facts = {**APPROVED, "session_id": session_id, **evidence}
    return RetentionAction(order_id, "erase", "standard", "", START_US + DAY_US, "Art. 17(1)(b)", facts)


def find_on_disk(store: Store, what: bytes) -> list[str]:
    """Files of the store that hold some bytes."""
    found = []
    for path in Path(store.home.root).rglob("*"):
        if path.is_file():
            try:
                if what in path.read_bytes():
                    found.append(path.name)
            except OSError:
                continue
    return found


def test_killed_at_every_step_it_is_gone_from_the_disk_and_the_rest_is_there(own_store: Store, sink: Sink) -> None:
    for log_id, partition in (("a", 0), ("b", 1)):
        # Two parts and their merge, in two days.
        for offset in range(2):
            EventWriter(sink.writer).store_rows(
                make(log_id, partition, [offset], at=START_US, day_step=DAY_US // 3), "", False
            )
    ids = {"log_id": ["a", "b"], "partition": [0, 0], "offset": [1, 2], "at": [START_US] * 2}
    sink.writer.insert("sessions", {**ids, "session_id": ["s-0", "s-1"], "opened_at": [START_US] * 2})
    sink.writer.insert("detections", {**ids, "session_id": ["s-0", "s-1"]})
    sink.writer.insert("lineage", {**ids, "from_session": ["s-0", "s-1"], "to_session": ["x", "s-1"]})
    opening = make_event(1).opening
    assert find_on_disk(own_store, opening)
    # The openings of the other session are the same in these tests: it goes from the disk's point of view, too.
    for name in ("s-1", "s-0"):
        kills = 0
        while True:
            sink.acts_left = kills
            try:
                sink.expiry(order(name, f"erase/{name}")).work(lambda ends: True)
            except KeyboardInterrupt:
                kills += 1
                continue
            break
        assert kills >= 3 and sink.count("s-0") == (10 if name == "s-1" else 0)
        sink.acts_left = 1 << 30
    done = {name: sink.carry_out(order(name, f"erase/{name}")) for name in ("s-0", "s-1")}
    for answer in done.values():
        assert (answer.action, answer.rows, answer.evidence["rows.events"]) == ("done", 10, "10")
        assert [answer.evidence[f"rows.{table}"] for table in ("sessions", "detections", "lineage")] == ["1", "1", "1"]
        assert answer.evidence["erasing_until"] == str(START_US + 8 * DAY_US)
    for table in ("events", "sessions", "detections"):
        assert sink.count("s-0", table) == 0
    sql = "SELECT count() FROM system.parts WHERE database = 'custody' AND table = 'events' AND NOT active"
    assert sink.writer.query(f"{sql} AND remove_time <= now() - 60") == [(0,)]
    assert find_on_disk(own_store, opening) == []


def test_some_events_of_a_session_go_and_the_others_stay(sink: Sink) -> None:
    EventWriter(sink.writer).store_rows(make("c", 2, range(2)), "", False)
    sink.writer.insert("sessions", {"session_id": ["s-2"], "opened_at": [START_US]})
    numbers = {"from_session": ["s-2"] * 3, "from_seq": [3, 4, 5], "to_session": ["y"] * 3, "to_seq": [1, 2, 3]}
    sink.writer.insert("lineage", {**numbers, "at": [START_US] * 3})
    expiry = sink.expiry(order("s-2", "erase-2", seqs="3,5-7"))
    expiry.work(lambda ends: True)
    assert sink.writer.query("SELECT seq FROM custody.events WHERE session_id = 's-2' ORDER BY seq") == [
        (1,), (2,), (4,), (8,), (9,), (10,),
    ]  # fmt: skip
    assert sink.count("s-2", "sessions") == 1
    assert sink.writer.query("SELECT from_seq FROM custody.lineage WHERE from_session = 's-2'") == [(4,)]
    assert sink.sent == []  # not done before the disk is clean


def test_holds_minimums_and_one_person_refuse_it(own_store: Store, sink: Sink) -> None:
    recent = int(time.time() * 1_000_000)
    EventWriter(sink.writer).store_rows(make("d", 3, range(2), at=recent), "", False)
    base = {"authority": "c", "reason": "r", "placed_by": "a", "approved_by": "b", "placed_at": 1, "opening": "00" * 16}
    sink.holds = {"h-7": parse_hold("h-7", {**base, "agent": "planner", "since": recent})}
    held = sink.carry_out(order("s-3", "e-1", seqs="1"))
    assert held.action == "refused" and held.reason == "legal hold h-7 keeps 10 events of the session"
    sink.holds = {}
    kept = {"standard": RetentionClass(max_age_days=9000, min_age_days=366, presets=["pci-dss-4"])}
    sink.rules = Retention(classes=kept)
    young = sink.carry_out(order("s-3", "e-2"))
    assert young.action == "refused" and "must be kept 366 days (pci-dss-4): not before 20" in young.reason
    sink.rules = RULES
    for number, evidence in enumerate(
        ({"approved_by": "ANN"}, {"approved_by": ""}, {"seqs": "1 OR 1"}, {"session_id": ""})
    ):
        answer = sink.carry_out(order("s-3", f"e-3{number}", **evidence) if "session_id" not in evidence else order(""))
        assert answer.action == "refused", evidence

    def fail() -> dict[str, LegalHold]:
        raise Unreachable("no broker")

    sink.read = fail  # type: ignore[method-assign]
    with pytest.raises(Unreachable):
        sink.carry_out(order("s-3", "e-4"))
    assert sink.count("s-3") == 10


def test_a_hold_that_comes_before_anything_went_is_kept_to_after_a_crash(sink: Sink) -> None:
    EventWriter(sink.writer).store_rows(make("e", 4, range(1)), "", False)
    sink.acts_left = 1  # the counts are noted, nothing is deleted
    with pytest.raises(KeyboardInterrupt):
        sink.expiry(order("s-4", "e-5")).work(lambda ends: True)
    sink.acts_left = 1 << 30
    base = {"authority": "c", "reason": "r", "placed_by": "a", "approved_by": "b", "placed_at": 1, "opening": "00" * 16}
    sink.holds = {"h-8": parse_hold("h-8", {**base, "session": "s-4"})}
    assert sink.carry_out(order("s-4", "e-5")).action == "refused" and sink.count("s-4") == 5


def test_least_ages_are_counted_in_whole_days() -> None:
    classes = {name: RetentionClass(max_age_days=10, min_age_days=days) for name, days in (("kept", 10), ("free", 0))}
    rules = Retention(classes=classes)
    newest = int(datetime(2028, 2, 20, 23, 59, tzinfo=UTC).timestamp()) * 1_000_000
    assert "not before 2028-03-01" in find_young("kept", newest, rules, date(2028, 2, 29))
    assert find_young("kept", newest, rules, date(2028, 3, 1)) == ""
    assert find_young("free", newest, rules, date(2028, 2, 21)) == ""
    for name in ("free+kept", "kept"):
        assert f"class {name} must be kept 10 days" in find_young(name, newest, rules, date(2028, 2, 21))


@pytest.mark.parametrize("name", ["gone", "gone+free"])
def test_a_class_that_no_setting_knows_is_not_erased(name: str) -> None:
    rules = Retention(classes={"free": RetentionClass(max_age_days=10)})
    assert f"no setting knows class {name}" in find_young(name, 0, rules, date(2028, 2, 21))


def test_names_are_literals() -> None:
    target = read_target({"session_id": "s' OR 1=1 --", "seqs": "1-2"})
    assert target.select("events") == "(session_id = 's\\' OR 1=1 --' AND (seq BETWEEN 1 AND 2))"
    assert target.select("detections") == ""
    assert Target("s").select("lineage") == "(from_session = 's' OR to_session = 's')"
    for bad in ({}, {"session_id": "a\nb"}, {"session_id": "s", "seqs": ""}, {"session_id": "s", "seqs": "1-2-3"}):
        with pytest.raises(ValueError, match=r"session|numbers"):
            read_target(bad)
