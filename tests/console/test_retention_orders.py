"""Orders that a person gives: which, and that they are durable on the real broker."""

from datetime import UTC, date, datetime

from confluent_kafka import Consumer

from console.control import find_place
from console.retention import Done, Slice
from console.retention_orders import order_due, send_orders
from schemas.config import RetentionClass
from schemas.events import RetentionAction
from schemas.runtime import Home
from schemas.topics import RETENTION
from schemas.wire import framing
from schemas.wire.kafka import read_range, watermarks
from tests.support.kafka import Kafka

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
CLASSES = {"short": RetentionClass(max_age_days=30)}


def test_what_is_due_and_not_ordered_is_ordered() -> None:
    days = [date(2026, 10, day) for day in (1, 2, 25, 26)]
    slices = [Slice("short", day, 5, date(2026, 11, day.day)) for day in days]
    slices.append(Slice("other", days[0], 5, None))
    done = [
        Done("a", "short", "2026-10-01", NOW, "", None, 0, ""),
        Done("b", "short", "2026-10-02", NOW, "done", NOW, 5, ""),
    ]
    orders = order_due(slices, done, CLASSES, NOW)
    assert [order.day for order in orders] == ["2026-10-02", "2026-10-25"]
    assert orders[0].evidence == {"max_age_days": "30", "min_age_days": "0"} and orders[0].action == "expire"
    assert orders[0].order_id.startswith("short/2026-10-02/")


def test_orders_are_durable_on_the_retention_topic(home: Home, kafka: Kafka) -> None:
    config = {**kafka.client_config("retain"), "group.id": "retain-orders-test"}
    consumer = Consumer(config)
    low = watermarks(consumer, RETENTION, 0)[1]
    orders = [RetentionAction(f"no-such/{n}", "erase", "none", "", 5, "test", {"session_id": "none"}) for n in (1, 2)]
    send_orders(find_place(), orders)
    high = watermarks(consumer, RETENTION, 0)[1]
    consumer.close()
    found = [framing.decode(message.value() or b"") for message in read_range(config, RETENTION, 0, low, high)]
    assert [item for item in found if isinstance(item, RetentionAction) and item.action == "erase"] == orders
