import json

from tests.console.conftest import Record, Run, session


def found(custody: Run, *arguments: str) -> list[str]:
    answer = custody("sessions", "--json", *arguments)
    assert answer.code == 0, answer.err
    return sorted(json.loads(line)["session_id"] for line in answer.out.splitlines())


def test_filters(custody: Run, filled: Record) -> None:
    assert found(custody) == ["s1", "s2"]
    assert found(custody, "--agent", "planner") == ["s1"]
    assert found(custody, "--principal", "dana@example.com", "--resource", "orders", "--run-id", "run-1") == [
        "s1",
        "s2",
    ]
    assert found(custody, "--resource", "other") == []
    assert found(custody, "--text", "drop cards") == ["s1"]
    assert found(custody, "--since", "10m") == ["s2"]  # s1 was closed an hour ago
    assert found(custody, "--until", "2h") == []
    assert len(found(custody, "--limit", "1")) == 1


def test_a_session_of_an_earlier_run_of_its_proxy_is_lost(custody: Run, growing: Record) -> None:
    growing.insert(
        "sessions", [session("opened", session_id="dead", run_id="dead-run", proxy_epoch="e0", protocol="custody")]
    )
    states = {}
    for run in ("dead-run", "run-1"):
        for line in custody("sessions", "--json", "--all", "--run-id", run).out.splitlines():
            record = json.loads(line)
            states[record["session_id"]] = record["state"]
    assert (states["dead"], states["s1"], states["s2"]) == ("lost", "closed", "opened")


def test_a_table(custody: Run, filled: Record) -> None:
    out = custody("sessions").out
    (line,) = [line for line in out.splitlines() if line.startswith(" s1 ") or line.startswith("s1 ")]
    assert "closed" in line and "2.0 s" in line and "planner" in line


def test_numbers(custody: Run, filled: Record) -> None:
    record = next(json.loads(line) for line in custody("sessions", "--json", "--agent", "planner").out.splitlines())
    assert (record["actions"], record["refused"], record["row_count"], record["events"]) == (2, 1, 2, 5)
