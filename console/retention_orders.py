"""Orders of retention that a person gives: onto their topic, and what came of them."""

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from confluent_kafka import Producer

from console.control import Place
from console.retention import Done, Slice
from console.store import Store
from schemas.config import RetentionClass
from schemas.events import RetentionAction, RetentionVerb
from schemas.topics import RETENTION
from schemas.wire import framing, kafka

ANSWER_TIMEOUT_S: Final = 10.0
ANSWERS: Final = """
SELECT order_id, action, rows, reason FROM custody.retention_actions
WHERE order_id IN {orders:Array(String)} AND action IN ('done', 'refused') ORDER BY order_id
"""


def order_due(
    slices: Iterable[Slice], actions: Iterable[Done], classes: Mapping[str, RetentionClass], now: datetime
) -> list[RetentionAction]:
    """Orders for the days that are due now and for which no order is open."""
    is_open = {(item.retention_class, item.day) for item in actions if not item.outcome}
    name = secrets.token_hex(4)
    orders = []
    for item in slices:
        if item.due is None or item.due > now.date() or (item.retention_class, str(item.day)) in is_open:
            continue
        rule = classes[item.retention_class]
        evidence = {"max_age_days": str(rule.max_age_days), "min_age_days": str(rule.min_age_days)}
        reason = f"older than {max(rule.max_age_days, rule.min_age_days)} days; ordered by hand"
        orders.append(
            RetentionAction(
                f"{item.retention_class}/{item.day}/{name}", RetentionVerb.EXPIRE.value, item.retention_class,
                str(item.day), int(now.timestamp() * 1_000_000), reason, evidence,
            )
        )  # fmt: skip
    return orders


def send_orders(place: Place, orders: Sequence[RetentionAction]) -> None:
    """Make orders durable on the retention topic. Raises Unreachable: then some may have been taken."""
    config = kafka.producer_config(place.settings, place.home, "api") | {"message.timeout.ms": 8000}
    kafka.write_durably(Producer(config), RETENTION, map(framing.encode, orders), ANSWER_TIMEOUT_S)


def wait_for_answers(store: Store, orders: Sequence[RetentionAction], timeout_s: float) -> list[dict[str, Any]]:
    """What came of orders, as far as it came in time. Raises QueryFailed, Unreachable."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = store.rows(ANSWERS, {"orders": [order.order_id for order in orders]})
        if len(found) >= len(orders) or time.monotonic() >= deadline:
            return found
        time.sleep(0.5)
