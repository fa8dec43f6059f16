"""`custody retention` on a real store."""

import json
from datetime import UTC, datetime, timedelta

from tests.console.conftest import Record, Run, event
from tests.support.homes import connect_home
from tests.support.kafka import Kafka


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


def test_run_orders_what_is_due_and_says_what_came_of_it(custody: Run, record: Record, kafka: Kafka) -> None:
    connect_home(record.home, kafka, store={"url": record.store.url})
    assert custody("retention", "run").out == "nothing is due\n"
    old = datetime.now(UTC) - timedelta(days=400)
    record.insert("events", [event(1, "data.sent", 1, at=old)])
    answer = custody("retention", "run", "--wait", "0", "--json")
    (order,) = json.loads(answer.out)
    assert answer.code == 2 and (order["outcome"], order["day"]) == ("open", str(old.date()))
