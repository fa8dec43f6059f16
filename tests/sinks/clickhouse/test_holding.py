"""Days that expire with rows under a legal hold in them, on the real store, cut off at every step."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from schemas.config import Retention, RetentionClass, Settings
from schemas.config import Store as StoreSettings
from schemas.errors import Unreachable
from schemas.events import RetentionAction
from schemas.holds import LegalHold, parse_hold
from sinks.clickhouse import holding
from sinks.clickhouse.client import StoreClient
from sinks.clickhouse.expiry import Expiry
from sinks.clickhouse.holding import TABLES, Holds, Keeper, count_days, select_held
from sinks.clickhouse.writer import EventWriter
from tests.sinks.batches import START_US
from tests.sinks.clickhouse.stored import expected, make, stored
from tests.support.store import Store

DAY = "2026-09-21"


def hold(**values: Any) -> LegalHold:
    base = {"authority": "court", "reason": "case 7", "placed_by": "ann", "approved_by": "bob", "placed_at": 1}
    return parse_hold("h", {**base, "opening": "00" * 16, **values})


class Place:
    """A day of one class in the store, the holds of the moment, and an executor that can be killed."""

    def __init__(self, store: Store, writer: StoreClient, log_id: str) -> None:
        self.writer, self.log_id = writer, log_id
        self.retention = StoreClient(Settings(store=StoreSettings(url=store.url)), store.home, "retention")
        self.retention_class = f"c-{uuid4()}"
        self.holds: dict[str, LegalHold] = {}
        self.sent: list[RetentionAction] = []
        self.acts_left = 1 << 30
        for client in (writer, self.retention):
            for name in ("command", "copy", "insert"):
                setattr(client, name, self._counted(getattr(client, name)))

    def _counted(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            if self.acts_left == 0:
                raise KeyboardInterrupt
            self.acts_left -= 1
            return act(*args, **options)

        return counted

    def fill(self, batches: int = 3) -> None:
        made = [
            batch
            for partition in range(2)
            for batch in make(self.log_id, partition, range(batches), retention_class=self.retention_class)
        ]
        EventWriter(self.writer).store_rows(made, "", False)

    def read_holds(self) -> Holds:
        return dict(self.holds)

    def order(self, number: int = 1, at: int = START_US) -> RetentionAction:
        return RetentionAction(f"{self.retention_class}/{DAY}/{number}", "expire", self.retention_class, DAY, at, "old")

    def carry_out(self, order: RetentionAction) -> None:
        """One process at it, from the beginning."""
        rules = Retention(classes={self.retention_class: RetentionClass(max_age_days=1)})
        expiry = Expiry(self.writer, self.retention, rules, self._publish, dict, self.read_holds)
        expiry.note(order)
        expiry.work(lambda ends: True)

    def carry_out_killed(self, order: RetentionAction) -> int:
        """Killed at every step in turn, until it is through; how often."""
        for kills in range(200):
            self.acts_left = kills
            try:
                self.carry_out(order)
            except KeyboardInterrupt:
                continue
            self.acts_left = 1 << 30
            return kills
        raise AssertionError("it never gets through")

    def _publish(self, answer: RetentionAction) -> None:
        if self.acts_left == 0:
            raise KeyboardInterrupt
        self.acts_left -= 1
        self.sent.append(answer)

    @property
    def classes(self) -> list[tuple[str, str, int]]:
        sql = """SELECT retention_class, held_from, count() FROM custody.events WHERE log_id = {log:String}
            GROUP BY ALL ORDER BY ALL"""
        return self.writer.query(sql, log=self.log_id)

    def digest(self) -> list[Any]:
        sql = """SELECT sum(cityHash64(* EXCEPT (retention_class, held_from))) FROM custody.events
            WHERE log_id = {log:String} AND session_id = 's-0'"""
        return self.writer.query(sql, log=self.log_id)


@pytest.fixture
def place(store: Store, connect: Callable[[], StoreClient], log_id: str) -> Iterator[Place]:
    place = Place(store, connect(), log_id)
    yield place
    place.retention.close()


def test_held_rows_stay_and_the_rest_goes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "MOVED_ROWS", 4)
    place.fill()
    place.holds = {"h-1": hold(session="s-0", since=START_US)}
    before = place.digest()
    assert place.carry_out_killed(place.order()) > 4
    (answer,) = place.sent
    assert (answer.action, answer.rows) == ("done", 15)
    assert answer.evidence["rows.events"] == "15" and answer.evidence["held.events"] == "15"
    assert answer.evidence["holds"] == "h-1"
    assert stored(place.writer, place.log_id) == expected({0: range(3)})
    assert place.classes == [("held", place.retention_class, 15)] and place.digest() == before
    # Given again, it finds nothing to do and says the same of what stays.
    place.carry_out(place.order(2))
    assert (place.sent[-1].rows, place.sent[-1].evidence["held.events"]) == (0, "15")


def test_a_release_lets_go_what_no_other_hold_takes(place: Place) -> None:
    place.fill()
    place.holds = {"h-1": hold(session="s-0"), "h-2": hold(agent="planner", until=START_US + 1)}
    place.carry_out(place.order())
    assert (place.sent[0].rows, place.sent[0].evidence["held.events"]) == (0, "30")
    place.holds = {"h-1": hold(session="s-0")}
    place.carry_out(place.order(2))
    assert (place.sent[1].rows, place.sent[1].evidence["held.events"]) == (15, "15")
    assert stored(place.writer, place.log_id) == expected({0: range(3)})
    place.holds = {}
    place.carry_out_killed(place.order(3))
    assert place.sent[2].rows == 15 and "holds" not in place.sent[2].evidence
    assert place.classes == []


def test_a_hold_that_comes_while_rows_are_copied_is_kept_to(place: Place) -> None:
    place.fill()
    asked = 0

    def read_holds() -> Holds:
        nonlocal asked
        asked += 1
        return {"h-1": hold(session="s-0")} if asked == 1 else {"h-1": hold(session="s-0"), "h-2": hold(session="s-1")}

    place.read_holds = read_holds  # type: ignore[method-assign]
    place.carry_out(place.order())
    assert place.sent[0].rows == 0 and place.sent[0].evidence["holds"] == "h-1 h-2"
    assert place.classes == [("held", place.retention_class, 30)]


def test_without_knowing_the_holds_nothing_goes(place: Place) -> None:
    place.fill()

    def read_holds() -> Holds:
        raise Unreachable("no broker")

    place.read_holds = read_holds  # type: ignore[method-assign]
    with pytest.raises(Unreachable):
        place.carry_out(place.order())
    assert place.classes == [(place.retention_class, "", 30)] and place.sent == []


def test_a_copy_that_differs_stops_the_drop(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.fill()
    place.holds = {"h-1": hold(session="s-0")}
    copy = place.writer.copy

    def forge(table: str, sql: str, token: str) -> None:
        copy(table, sql.replace("SELECT * REPLACE (", "SELECT * REPLACE ('forged' AS status, "), token)

    monkeypatch.setattr(place.writer, "copy", forge)
    with pytest.raises(Unreachable, match="differ from their copy"):
        place.carry_out(place.order())
    assert (place.retention_class, "", 30) in place.classes and place.sent == []


def test_a_hold_keeps_what_belongs_to_its_sessions_elsewhere(place: Place) -> None:
    writer, name = place.writer, place.retention_class
    place.fill()
    one, other = f"d-{uuid4()}", f"d-{uuid4()}"
    place.holds = {"h-1": hold(token="ab12", session="s-0")}
    origin: dict[str, Any] = {"log_id": [place.log_id] * 2, "partition": [0, 0], "offset": [1, 2]}
    klass = {"retention_class": [name] * 2}
    day = [1_790_000_000_000_000] * 2
    writer.insert("sessions", {**origin, **klass, "session_id": ["s-0", "s-1"], "opened_at": day})
    writer.insert(
        "detections", {**origin, **klass, "session_id": ["s-0", "s-1"], "at": day, "detection_id": [one, other]}
    )
    writer.insert("lineage", {**origin, **klass, "to_session": ["s-0", "s-1"], "at": day})
    writer.insert("deliveries", {**origin, **klass, "item": [one, other], "at": day, "sink": ["x", "x"]})
    place.carry_out(place.order())
    evidence = place.sent[0].evidence
    for table in TABLES:
        events = table.name == "events"
        assert evidence[f"held.{table.name}"] == ("15" if events else "1"), table.name
        assert evidence[f"rows.{table.name}"] == ("15" if events else "1"), table.name


def test_texts_of_a_hold_are_literals(place: Place) -> None:
    place.fill()
    for text in ("' OR 1 --", "\\' OR 1 --", "\\", "s-0'"):
        holds = {"h": hold(session=text, agent=text, principal=text, resource=text)}
        keeper = Keeper(place.writer, place.retention, TABLES[0], DAY)
        keeper.move(place.retention_class, holds, "t")
        assert count_days(place.writer, [keeper], place.retention_class)[TABLES[0].name][1] == 0
        for table in TABLES:
            where = select_held(table, holds)
            assert place.writer.query(f"SELECT count() FROM custody.{table.name} WHERE {where}") == [(0,)]
