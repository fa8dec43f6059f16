"""`custody retention` on a real store."""

import json
from datetime import UTC, datetime, timedelta

from tests.console.conftest import Record, Run, event
from tests.support.homes import connect_home, write_settings
from tests.support.kafka import Kafka

CLASSES = {
    "standard": {"max_age_days": 365},
    "pci": {"presets": ["pci-dss-4"], "max_age_days": 800},
    "limited": {"presets": ["gdpr-storage-limit"]},
}


def test_status_plan_and_audit(custody: Run, record: Record) -> None:
    now = datetime.now(UTC)
    days = {"fresh": now, "soon": now - timedelta(days=360), "overdue": now - timedelta(days=400)}
    record.insert("events", [event(n, "data.sent", n, at=at) for n, at in enumerate(days.values(), 1)])
    told = json.loads(custody("retention", "status", "--json").out)
    standard = next(item for item in told if item["class"] == "standard")
    assert (standard["days"], standard["events"], standard["gone after"]) == (3, 3, "365 days")
    planned = json.loads(custody("retention", "plan", "--json").out)
    assert [item["day"] for item in planned] == [str(days[name].date()) for name in ("overdue", "soon")]
    answer = custody("retention", "audit", "--json")
    findings = json.loads(answer.out)["findings"]
    assert answer.code == 1 and len(findings) == 1 and f"standard/{days['overdue'].date()}" in findings[0]
    action = {"log_id": "r", "partition": 0, "offset": 1, "order_id": "o-1", "retention_class": "standard", "rows": 1}
    ordered = {**action, "action": "expire", "day": str(days["overdue"].date()), "at": now, "reason": "old"}
    record.insert("retention_actions", [ordered, {**ordered, "action": "done", "offset": 2}])
    assert "though its order was carried out" in custody("retention", "audit").out


def test_combinations_unknown_classes_and_what_holds_keep_are_told_apart(custody: Run, record: Record) -> None:
    write_settings(record.home, store={"url": record.store.url}, retention={"classes": CLASSES})
    now = datetime.now(UTC)
    ages = {"limited+pci": 350, "gone": 4000, "gone+pci": 4000, "held": 4000}
    rows = [event(1, "data.sent", n, at=now - timedelta(days=days)) for n, days in enumerate(ages.values(), 1)]
    record.insert("events", [row | {"retention_class": name} for row, name in zip(rows, ages, strict=True)])
    found = {item["class"]: item for item in json.loads(custody("retention", "status", "--json").out)}
    assert set(found) == {*CLASSES, "limited+pci", "gone", "gone+pci"}
    both = found["limited+pci"]
    assert (both["kept at least"], both["gone after"], both["events"]) == ("366 days", "366 days", 1)
    assert "PCI DSS" in both["source"] and "5(1)(e)" in both["source"]
    assert (found["gone"]["gone after"], found["gone+pci"]["gone after"]) == ("never", "never")
    planned = json.loads(custody("retention", "plan", "--json").out)
    assert [item["class"] for item in planned] == ["limited+pci"]
    answer = custody("retention", "audit", "--json")
    findings = json.loads(answer.out)["findings"]
    assert answer.code == 1 and {text.partition("/")[0] for text in findings} == {"gone", "gone+pci"}
    assert all("of a class that no setting knows: they never expire" in text for text in findings)


def test_run_orders_what_is_due_and_says_what_came_of_it(custody: Run, record: Record, kafka: Kafka) -> None:
    connect_home(record.home, kafka, store={"url": record.store.url})
    assert custody("retention", "run").out == "nothing is due\n"
    old = datetime.now(UTC) - timedelta(days=400)
    record.insert("events", [event(1, "data.sent", 1, at=old)])
    answer = custody("retention", "run", "--wait", "0", "--json")
    (order,) = json.loads(answer.out)
    assert answer.code == 2 and (order["outcome"], order["day"]) == ("open", str(old.date()))
