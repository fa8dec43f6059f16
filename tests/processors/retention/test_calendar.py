"""Due days, ages, and that each day is ordered once unless more of it came."""

import time
from datetime import UTC, datetime

import pytest

from processors.retention.calendar import Calendar, Slice, day_of, is_due
from schemas.config import Retention, RetentionClass
from schemas.events import RetentionAction

CLASSES = {"short": RetentionClass(max_age_days=30), "standard": RetentionClass(max_age_days=365, min_age_days=400)}


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


NOW = at("2026-03-02T00:00:00")


@pytest.mark.parametrize(
    ("day", "name", "now", "due"),
    [
        ("2026-01-30", "short", "2026-03-02T00:00:00", True),
        ("2026-01-31", "short", "2026-03-01T23:59:59", False),
        ("2026-01-31", "short", "2026-03-03T00:00:00", True),
        ("2025-02-01", "standard", "2026-03-02T00:00:00", False),  # the minimum age wins
        ("2025-01-25", "standard", "2026-03-02T00:00:00", True),
        ("9999-12-31", "short", "2026-03-02T00:00:00", False),
        ("nonsense", "short", "2026-03-02T00:00:00", False),
    ],
)
def test_a_day_is_due_when_all_of_it_is_older(day: str, name: str, now: str, due: bool) -> None:
    assert is_due(day, CLASSES[name], at(now)) is due


def due(calendar: Calendar, position: int = 10, log_id: str = "log", holds: str = "") -> list[RetentionAction]:
    return calendar.due(CLASSES, NOW, log_id, {0: position}, frozenset(holds.split()))


def done(order: RetentionAction, holds: str = "") -> RetentionAction:
    evidence = {"holds": holds, "held.events": "3"} if holds else {}
    return RetentionAction(order.order_id, "done", order.retention_class, order.day, NOW, "", evidence)


def test_each_slice_is_ordered_once() -> None:
    calendar = Calendar()
    calendar.observe(0, 5, [Slice("short", "2026-01-01"), Slice("short", "2026-03-01"), Slice("other", "2020-01-01")])
    (order,) = due(calendar)
    assert (order.order_id, order.action, order.day) == ("short/2026-01-01", "expire", "2026-01-01")
    assert order.evidence["through.0"] == "10" and order.evidence["max_age_days"] == "30"
    calendar.learn(order)
    assert due(calendar) == []
    assert calendar.unknown_classes(CLASSES) == {"other"}
    assert calendar.save(0, "log") == [["short", "2026-03-01", 5], ["other", "2020-01-01", 5]]


def test_what_is_read_again_after_a_restart_is_not_ordered_again() -> None:
    calendar = Calendar()
    calendar.observe(0, 5, [Slice("short", "2026-01-01")])
    (order,) = due(calendar)
    restarted = Calendar()
    restarted.restore(0, [["short", "2026-01-01", 5]])
    restarted.learn(order)
    restarted.observe(0, 9, [Slice("short", "2026-01-01")])
    assert due(restarted) == []


def test_what_comes_after_the_order_is_ordered_again_under_another_id() -> None:
    calendar = Calendar()
    calendar.observe(0, 5, [Slice("short", "2026-01-01")])
    calendar.learn(due(calendar)[0])
    calendar.observe(0, 11, [Slice("short", "2026-01-01")])
    (second,) = due(calendar, 11)
    assert second.order_id == "short/2026-01-01/2"
    calendar.learn(second)
    assert due(calendar, 11) == []


def test_other_actions_and_odd_evidence_do_no_harm() -> None:
    calendar = Calendar()
    calendar.observe(0, 5, [Slice("short", "2026-01-01")])
    calendar.learn(RetentionAction("x", "done", "short", "2026-01-01", NOW, ""))
    calendar.learn(RetentionAction("x", "expire", "short", "2026-01-01", NOW, "", {"through.0": "x", "through.y": "1"}))
    assert len(due(calendar)) == 1


def test_days_are_utc_and_never_out_of_range() -> None:
    assert day_of(at("2026-01-01T23:59:59")) == "2026-01-01"
    assert day_of(2**62) == "9999-12-31" and day_of(-(2**62)) == "0001-01-01"


def test_a_day_is_due_again_when_a_hold_that_kept_rows_of_it_is_gone() -> None:
    calendar = Calendar()
    calendar.observe(0, 5, [Slice("short", "2026-01-01"), Slice("short", "2026-01-02")])
    first, free = due(calendar, holds="h-1 h-2 h-9")
    assert first.evidence["holds"] == "h-1 h-2 h-9"
    for action in (first, free):
        calendar.learn(action)
    assert due(calendar) == []  # nothing is known of what was kept before the answer
    calendar.learn(done(first, "h-1 h-2"))
    calendar.learn(done(free))
    assert due(calendar, holds="h-1 h-2") == []
    (second,) = due(calendar, holds="h-2 h-9")
    assert second.order_id == "short/2026-01-01/2" and second.reason.endswith("a legal hold was released")
    calendar.learn(second)
    assert due(calendar) == []
    calendar.learn(done(second, "h-2"))
    assert due(calendar, holds="h-2") == []
    (third,) = due(calendar)
    calendar.learn(third)
    calendar.learn(done(third))
    assert due(calendar) == []


@pytest.mark.parametrize(
    ("day", "age", "last"),
    [
        ("2024-02-29", 365, "2025-02-28"),  # a leap day: 365 days after its end
        ("2024-02-28", 366, "2025-02-28"),
        ("2023-12-31", 60, "2024-02-29"),
        ("2025-12-31", 60, "2026-03-01"),
    ],
)
def test_leap_days_count_as_days(day: str, age: int, last: str) -> None:
    rules = RetentionClass(max_age_days=age)
    due_at = at(f"{last}T00:00:00") + 86_400_000_000
    assert (is_due(day, rules, due_at - 1), is_due(day, rules, due_at)) == (False, True)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12", "Europe/Berlin"])
def test_the_hosts_time_zone_changes_nothing(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        midnight = at("2026-03-29T00:00:00")  # a night that has 23 hours in Berlin
        assert (day_of(midnight - 1), day_of(midnight)) == ("2026-03-28", "2026-03-29")
        rules = RetentionClass(max_age_days=1)
        assert (is_due("2026-03-27", rules, midnight - 1), is_due("2026-03-27", rules, midnight)) == (False, True)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_clock_that_is_put_back_and_forth_orders_a_day_once() -> None:
    calendar = Calendar()
    calendar.observe(0, 5, [Slice("short", "2026-01-30")])

    def due_at(now: int) -> list[RetentionAction]:
        return calendar.due(CLASSES, now, "log", {0: 10})

    assert due_at(NOW - 1) == []
    (order,) = due_at(NOW)
    calendar.learn(order)
    assert due_at(NOW - 40 * 86_400_000_000) == [] and due_at(NOW + 86_400_000_000) == []
    calendar.learn(done(order))
    assert due_at(NOW) == []


def test_a_day_whose_class_changed_in_its_middle_goes_in_two_parts_each_at_its_age() -> None:
    """A policy that moves a resource to another class at noon: the morning keeps the class that it was stored under."""
    calendar = Calendar()
    calendar.observe(0, 5, [Slice("short", "2026-01-30")])
    calendar.observe(0, 6, [Slice("standard", "2026-01-30")])
    (first,) = due(calendar)
    assert first.retention_class == "short"
    calendar.learn(first)
    later = calendar.due(CLASSES, at("2027-03-08T00:00:00"), "log", {0: 10})
    assert [order.order_id for order in later] == ["standard/2026-01-30"]
    assert calendar.due(CLASSES, at("2027-03-06T23:59:59"), "log", {0: 10}) == []


def test_ages_that_are_changed_hold_for_what_is_there() -> None:
    calendar = Calendar()
    calendar.observe(0, 5, [Slice("short", "2026-01-01")])
    longer = CLASSES | {"short": RetentionClass(max_age_days=90)}
    assert calendar.due(longer, NOW, "log", {0: 10}) == []
    assert [order.evidence["max_age_days"] for order in due(calendar)] == ["30"]


def test_a_day_goes_by_the_ages_of_each_combination_that_rules_gave_it_in_its_course() -> None:
    """A resource that gets a label at noon: rules add a class, and the afternoon is of a combination."""
    classes = {"standard": {"max_age_days": 60, "min_age_days": 20}, "personal": {"max_age_days": 30}}
    ages = Retention.model_validate({"classes": classes}).ages
    calendar, day = Calendar(), "2024-02-29"
    calendar.observe(0, 5, [Slice("standard", day)])
    calendar.observe(0, 6, [Slice("personal+standard", day)])

    def due_at(text: str) -> list[RetentionAction]:
        orders = calendar.due(ages, at(text), "log", {0: 10})
        for order in orders:
            calendar.learn(order)
        return orders

    assert due_at("2024-03-30T23:59:59") == []
    (first,) = due_at("2024-03-31T00:00:00")
    assert (first.retention_class, first.order_id) == ("personal+standard", "personal+standard/2024-02-29")
    assert (first.evidence["max_age_days"], first.evidence["min_age_days"]) == ("30", "20")
    assert due_at("2024-04-29T23:59:59") == []
    assert [order.retention_class for order in due_at("2024-04-30T00:00:00")] == ["standard"]


def test_a_class_that_settings_no_longer_name_never_goes_and_goes_again_once_they_do() -> None:
    calendar = Calendar()
    calendar.observe(0, 5, [Slice("old", "2020-01-01"), Slice("old+short", "2020-01-01")])
    ages = Retention.model_validate({"classes": {"short": {"max_age_days": 30}}}).ages
    assert calendar.due(ages, NOW, "log", {0: 10}) == []
    assert calendar.unknown_classes(ages) == {"old", "old+short"}
    again = Retention.model_validate({"classes": {"short": {"max_age_days": 30}, "old": {"max_age_days": 40}}}).ages
    assert [order.retention_class for order in calendar.due(again, NOW, "log", {0: 10})] == ["old", "old+short"]


def test_what_was_refused_is_ordered_again_a_day_later() -> None:
    """The sink knew other ages when it was asked: without this, the day would stay until a person looks."""
    calendar, day = Calendar(), 86_400_000_000
    calendar.observe(0, 5, [Slice("short", "2026-01-01")])
    (order,) = due(calendar)
    calendar.learn(order)
    calendar.learn(RetentionAction(order.order_id, "refused", "short", order.day, NOW, "too young"))
    assert calendar.due(CLASSES, NOW + day - 1, "log", {0: 10}) == []
    (again,) = calendar.due(CLASSES, NOW + day, "log", {0: 10})
    assert again.order_id == "short/2026-01-01/2" and again.reason.endswith("the last order was refused")
    calendar.learn(again)
    calendar.learn(done(again))
    assert calendar.due(CLASSES, NOW + 9 * day, "log", {0: 10}) == []
