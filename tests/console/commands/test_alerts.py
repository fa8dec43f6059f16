import json

from tests.console.conftest import Record, Run


def test_detections(custody: Run, filled: Record) -> None:
    assert "many failures" in custody("alerts").out
    (found,) = map(json.loads, custody("alerts", "--json", "--severity", "high", "--agent", "planner").out.splitlines())
    assert (found["rule"], found["session_id"], found["attributes"]) == ("failed_burst", "s1", {"count": "9"})
    assert custody("alerts", "--json", "--severity", "critical").out == ""
    assert custody("alerts", "--json", "--rule", "other").out == ""
    assert custody("alerts", "--severity", "awful").code == 2
