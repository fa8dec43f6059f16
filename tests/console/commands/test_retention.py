"""`custody retention` on a real store."""

import json
from datetime import UTC, datetime, timedelta

from tests.console.conftest import Record, Run, event


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
