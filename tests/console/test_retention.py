"""Retention seen from outside: when days are due, what is overdue, what went without being told. Pure."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from console.retention import GRACE, Slice, audit, describe_class, join_actions, make_slices
from schemas.config import RetentionClass

CLASSES = {"short": RetentionClass(max_age_days=30), "kept": RetentionClass(max_age_days=10, min_age_days=366)}
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def row(action: str, order_id: str = "o-1", at: datetime = NOW, rows: int = 0) -> dict[str, Any]:
    return {
        "order_id": order_id, "action": action, "retention_class": "short", "day": "2026-10-01",
        "at": at.replace(tzinfo=None), "reason": "", "rows": rows,
    }  # fmt: skip


def test_a_day_is_due_when_the_whole_of_it_is_old_enough() -> None:
    rows = [
        {"retention_class": name, "day": day, "stored": 5}
        for name, day in (("short", "2024-02-29"), ("kept", "2024-02-29"), ("other", "2024-02-29"))
    ]
    due = [item.due for item in make_slices(rows, CLASSES)]
    assert due == [date(2024, 3, 31), date(2025, 3, 2), None]


def test_overdue_is_a_day_after_due_to_the_moment() -> None:
    item = Slice("short", date(2026, 10, 1), 5, date(2026, 11, 1))
    limit = datetime(2026, 11, 1, tzinfo=UTC) + GRACE
    assert item.is_overdue(limit) and not item.is_overdue(limit - timedelta(microseconds=1))


def test_orders_and_their_answers_are_joined() -> None:
    found = join_actions([row("expire"), row("done", rows=7), row("expire", "o-2"), row("refused", "o-3")])
    assert [(item.order_id, item.outcome, item.rows) for item in found] == [
        ("o-1", "done", 7), ("o-2", "", 0), ("o-3", "refused", 0),
    ]  # fmt: skip
    assert found[2].ordered_at is None


def test_what_did_not_go_and_what_nobody_ordered_is_said() -> None:
    due = Slice("short", date(2026, 10, 1), 5, date(2026, 11, 1))
    fresh = Slice("short", date(2026, 11, 20), 5, date(2026, 12, 21))
    lost = Slice("other", date(2026, 11, 20), 5, None)
    old = NOW - timedelta(days=3)
    actions = join_actions([row("done", "o-9"), row("expire", "o-8", old), row("expire", "o-7"), row("done", "o-7")])
    faults = audit([due, fresh, lost], actions, NOW)
    assert len(faults) == 4
    assert "short/2026-10-01: 5 events are overdue since 2026-11-01, though its order was carried out" in faults
    assert "other/2026-11-20: 5 events of a class that no setting knows: they never expire" in faults
    assert "o-9: done without an order" in faults and "o-8: ordered 2026-11-22 and not answered" in faults
    assert audit([fresh], [], NOW) == []


def test_a_class_names_where_its_minimum_comes_from() -> None:
    rule = RetentionClass(max_age_days=800, min_age_days=366, presets=["pci-dss-4"])
    assert describe_class("standard", rule)[:3] == ("standard", "366 days", "800 days")
    assert "PCI DSS" in describe_class("standard", rule)[3]
