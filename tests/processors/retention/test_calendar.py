"""Due days, ages, and that each day is ordered once unless more of it came."""

from datetime import UTC, datetime

import pytest

from processors.retention.calendar import Calendar, Slice, day_of, is_due
from schemas.config import RetentionClass
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
