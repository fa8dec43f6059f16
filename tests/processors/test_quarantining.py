"""Whom a detection stops, and when it stops nobody. With the real worker: test_detect.py."""

import asyncio
from typing import Any

import pytest

from processors.quarantining import BY, HOUR_US, Quarantining, check_rules
from schemas.detection_config import Detection as Settings
from schemas.errors import ConfigError, Unreachable
from schemas.events import ControlKind, Detection, Origin

NOW = 1_800_000_000_000_000


class Control:
    """Control in memory; `failures` is how often a write fails first."""

    def __init__(self, failures: int = 0) -> None:
        self.entries: dict[str, dict[str, Any]] = {}
        self.alarms: list[str] = []
        self.failures = failures

    def get(self, kind: ControlKind, id: str) -> dict[str, Any] | None:
        return self.entries.get(id) if kind is ControlKind.QUARANTINE else None

    def all(self, kind: ControlKind) -> dict[str, dict[str, Any]]:
        return self.entries if kind is ControlKind.QUARANTINE else {}

    def put(self, kind: ControlKind, id: str, payload: dict[str, Any] | None) -> None:
        if self.failures:
            self.failures -= 1
            raise Unreachable("away")
        assert kind is ControlKind.QUARANTINE and payload is not None
        self.entries[id] = payload

    def quarantining(self, now: int = NOW, **settings: Any) -> Quarantining:
        values = {"quarantine": {"denied-burst": "agent", "data-flow": "session"}} | settings
        return Quarantining(Settings.model_validate(values), self, lambda: self, self.alarms.append, lambda: now)


def detection(agent: str = "planner", rule: str = "denied-burst", **values: Any) -> Detection:
    facts: dict[str, Any] = {"principal": "ann", "resource": "db", "session_id": f"s-{agent}", "at": NOW}
    return Detection(
        detection_id="d" * 32, rule=rule, rule_version="1", severity="high", title="ten denials", agent=agent,
        origin=Origin("log", 0, 0), position=0, **(facts | values),
    )  # fmt: skip


def told(made: Quarantining, *found: Detection) -> list[str | None]:
    async def run() -> None:
        for each in found:
            await made.place(each)

    asyncio.run(run())
    return [each.attributes.get("quarantine") for each in found]


def test_an_agent_and_a_session_are_stopped_with_the_detection_as_the_reason() -> None:
    control = Control()
    assert told(control.quarantining(), detection(), detection("mailer", "data-flow")) == [
        "agent planner", "session s-mailer",
    ]  # fmt: skip
    entry = control.entries["agent:planner"]
    assert entry["reason"] == f"detection {'d' * 32}: ten denials"
    assert (entry["by"], entry["at"]) == (f"{BY}denied-burst", NOW)


def test_rules_that_are_not_named_stop_nobody() -> None:
    control = Control()
    assert told(control.quarantining(quarantine={}), detection(), detection(rule="rows-beyond-past")) == [None, None]
    assert control.entries == {}


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (detection(resource="custody"), "none: it is about Custody's own sessions"),
        (detection(at=NOW - HOUR_US - 1), "none: it is about what was more than an hour ago"),
        (detection("Release-bot/2"), "none: Release-bot/2 is never quarantined"),
        (detection(""), "none: nobody can be named by the agent of this detection"),
    ],
    ids=["own", "old", "never", "nameless"],
)
def test_who_must_not_be_stopped_is_not(found: Detection, why: str) -> None:
    control = Control()
    assert told(control.quarantining(never_quarantine=["release-*"]), found) == [why]
    assert control.entries == {}


def test_a_name_that_may_be_a_persons_is_not_stopped_everywhere() -> None:
    for found in (detection("eve@example.com"), detection("Ann"), detection("auditor@local")):
        control = Control()
        assert told(control.quarantining(), found) == [f"session s-{found.agent}"]


def test_no_more_than_so_many_in_an_hour_whoever_placed_them() -> None:
    control = Control()
    control.entries["agent:elsewhere"] = {"by": "detect:data-flow", "at": NOW - 1000}
    control.entries["agent:by-hand"] = {"by": "bob", "at": NOW - 1000}
    control.entries["agent:long-ago"] = {"by": "detect:data-flow", "at": NOW - HOUR_US}
    made = control.quarantining(max_quarantines_per_hour=2)
    limit = "none: 2 were placed within an hour already"
    assert told(made, detection("a"), detection("b"), detection("c")) == ["agent a", limit, limit]
    assert len(control.alarms) == 2 and "agent b was not quarantined for denied-burst" in control.alarms[0]
    assert told(control.quarantining(NOW + HOUR_US, max_quarantines_per_hour=2), detection("b", at=NOW + HOUR_US)) == [
        "agent b"
    ]


def test_who_is_stopped_already_stays_as_people_left_it() -> None:
    control = Control()
    control.entries["agent:planner"] = {"by": "bob", "at": 1, "reason": "mine"}
    assert told(control.quarantining(), detection()) == ["none: agent planner is quarantined already"]
    assert control.entries["agent:planner"]["reason"] == "mine"


def test_a_write_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.quarantining.AGAIN_S", 0.0)
    control = Control(failures=3)
    assert told(control.quarantining(), detection()) == ["agent planner"]
    with pytest.raises(Unreachable):
        told(Control(failures=1000).quarantining(), detection())


def test_a_rule_must_be_there() -> None:
    check_rules(Settings(quarantine={"denied-burst": "agent"}), {"denied-burst": ""})
    with pytest.raises(ConfigError, match="no rule 'denied-brust'; there are: denied-burst"):
        check_rules(Settings(quarantine={"denied-brust": "agent"}), {"denied-burst": ""})
