"""EXPIRE orders on the real store, cut off at every step."""

from collections.abc import Callable
from datetime import date
from uuid import uuid4

import pytest

from schemas.config import Retention, RetentionClass, Settings
from schemas.config import Store as StoreSettings
from schemas.events import RetentionAction
from sinks.clickhouse.client import StoreClient
from sinks.clickhouse.expiry import TABLES, Expiry, Order, find_fault, note_action
from sinks.clickhouse.writer import EventWriter
from tests.sinks.batches import START_US
from tests.sinks.clickhouse.stored import make, stored
from tests.support.store import Store

TODAY = date(2026, 11, 23)
RULES = Retention(
    classes={
        "short": RetentionClass(max_age_days=30, min_age_days=10),
        "long": RetentionClass(max_age_days=300, min_age_days=20),
    }
)


def make_order(day: str = "2026-09-21", action: str = "expire", retention_class: str = "short") -> Order:
    return Order("o-1", action, retention_class, day, START_US)


def test_orders_within_the_rules() -> None:
    assert find_fault(make_order(), RULES, TODAY) == ""
    assert find_fault(make_order("2026-11-13"), RULES, TODAY) == ""
    assert find_fault(make_order(retention_class="long+short"), RULES, TODAY) == ""


def test_a_combination_is_kept_for_its_longest_minimum() -> None:
    young = make_order("2026-11-12", retention_class="long+short")
    assert "younger than the 20 days" in find_fault(young, RULES, TODAY)
    assert find_fault(make_order("2026-11-03", retention_class="long+short"), RULES, TODAY) == ""


@pytest.mark.parametrize("name", ["unknown", "short+unknown", "unknown+short"])
def test_nothing_goes_of_a_class_that_no_setting_knows(name: str) -> None:
    assert "no setting knows the class" in find_fault(make_order(retention_class=name), RULES, TODAY)


@pytest.mark.parametrize(
    "order",
    [
        make_order("2026-11-14"), make_order("2026-11-24"), make_order("2026-02-30"), make_order("20260921"),
        make_order("0001-01-01"), make_order(action="erase"), make_order(retention_class="a', 1), ('b"),
        make_order(retention_class=""), make_order(retention_class="+"), make_order("2026-09-21'"),
    ],
)  # fmt: skip
def test_orders_against_the_rules(order: Order) -> None:
    assert find_fault(order, RULES, TODAY)


def test_the_last_word_counts() -> None:
    orders: dict[str, Order] = {}
    for action in ("expire", "done", "expire"):
        note_action(orders, RetentionAction("o-1", action, "short", "2026-09-21", 1, ""))
    assert list(orders) == ["o-1"]
    note_action(orders, RetentionAction("o-1", "refused", "short", "2026-09-21", 1, ""))
    assert orders == {}


@pytest.mark.parametrize("step", ["count", "first drop", "all drops", "publish", "none"])
def test_cut_off_at_every_step(store: Store, connect: Callable[[], StoreClient], log_id: str, step: str) -> None:
    """The count survives whatever happens after it."""
    writer, name = connect(), f"c-{uuid4()}"
    retention_class = f"{name}+other"  # a combination: it goes as any class does
    rules = Retention(classes={part: RetentionClass(max_age_days=1) for part in (name, "other")})
    EventWriter(writer).store_rows(make(log_id, 0, range(3), retention_class=retention_class), "", False)
    order = RetentionAction(str(uuid4()), "expire", retention_class, "2026-09-21", START_US, "old")
    sent: list[RetentionAction] = []
    retention = StoreClient(Settings(store=StoreSettings(url=store.url)), store.home, "retention")
    command, drops = retention.command, 0

    def drop(sql: str) -> None:
        nonlocal drops
        if (step == "count" and drops == 0) or (step == "first drop" and drops == 1):
            raise KeyboardInterrupt
        drops += 1
        command(sql)
        if step == "all drops" and drops == len(TABLES):
            raise KeyboardInterrupt

    def publish(answer: RetentionAction) -> None:
        if step == "publish" and not sent:
            step_done.append(True)
            raise KeyboardInterrupt
        sent.append(answer)

    step_done: list[bool] = []
    retention.command = drop  # type: ignore[method-assign]
    first = Expiry(writer, retention, rules, publish, lambda: {0: 5})
    first.note(order)
    first.work(lambda ends: False)  # rows are still under way
    assert len(stored(writer, log_id)) == 15
    if step == "none":
        first.work(lambda ends: ends == {0: 5})
    else:
        with pytest.raises(KeyboardInterrupt):
            first.work(lambda ends: True)
        retention.command = command  # type: ignore[method-assign]
        second = Expiry(writer, retention, rules, sent.append, dict)
        second.note(order)
        second.work(lambda ends: True)
        second.work(lambda ends: True)
    retention.close()
    assert stored(writer, log_id) == []
    (answer,) = sent
    assert (answer.action, answer.rows, answer.order_id) == ("done", 15, order.order_id)
    assert answer.evidence == {
        "rows.events": "15",
        "rows.sessions": "0",
        "rows.detections": "0",
        "rows.lineage": "0",
        "rows.deliveries": "0",
    }
