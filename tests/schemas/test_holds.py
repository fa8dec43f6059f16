"""What a hold takes in, and that two different people stand behind it."""

from typing import Any

import pytest

from schemas.errors import ConfigError
from schemas.holds import LegalHold, describe_hold, parse_active, parse_hold

BASE: dict[str, Any] = {
    "authority": "Court of Appeal, 12/2026", "reason": "litigation", "placed_by": "ann", "approved_by": "bob",
    "placed_at": 5, "opening": "00" * 16,
}  # fmt: skip
RELEASE = {"released_by": "ann", "release_approved_by": "cid", "release_reason": "settled", "released_at": 9}


def make(**values: Any) -> LegalHold:
    return parse_hold("h-1", {**BASE, **values})


def test_every_criterion_counts() -> None:
    hold = make(agent="planner", resource="db", since=100, until=200)
    assert hold.takes("s", "planner", "ann", "db", 100) and hold.takes("t", "planner", "", "db", 199)
    for event in (
        ("s", "other", "ann", "db", 100),
        ("s", "planner", "ann", "x", 100),
        ("s", "planner", "ann", "db", 200),
        ("s", "planner", "ann", "db", 99),
    ):
        assert not hold.takes(*event)
    assert make(session="s").takes("s", "", "", "", 1 << 60) and not make(session="s").takes("t", "", "", "", 0)


@pytest.mark.parametrize(
    "values",
    [
        {}, {"agent": "a\nb"}, {"since": 9, "until": 9}, {"session": "s", "placed_by": " "}, {"session": "s", "x": 1},
        {"session": "s", "approved_by": "ANN"}, {"session": "s", "approved_by": " ann "}, {"token": "a b"},
        {"session": "s", **RELEASE, "release_approved_by": "Ann"}, {"session": "s", "opening": "0"}, {"since": 1 << 63},
        {"session": "s", "reason": ""},
    ],
)  # fmt: skip
def test_what_is_no_hold_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="legal hold h-1"):
        make(**values)


def test_a_released_hold_is_known_and_not_in_force() -> None:
    placed, released = make(session="s"), make(session="s", **RELEASE)
    assert placed.is_active and not released.is_active
    assert released.payload(as_placed=True) == placed.payload()
    assert parse_hold("h", released.payload()) == released
    assert set(parse_active({"a": placed.payload(), "b": released.payload()})) == {"a"}
    with pytest.raises(ConfigError):
        parse_active({"a": {"session": "s"}})


def test_an_entry_is_told_as_facts_and_never_with_what_opens_its_leaf() -> None:
    placed = describe_hold("h-1", make(agent="planner", since=100).payload())
    assert placed == {
        "hold.id": "h-1", "hold.state": "placed", "hold.by": "ann", "hold.approved_by": "bob",
        "hold.reason": "litigation", "hold.authority": "Court of Appeal, 12/2026", "hold.agent": "planner",
        "hold.since": "100",
    }  # fmt: skip
    released = describe_hold("h-1", make(agent="planner", since=100, **RELEASE).payload())
    people = {"hold.state": "released", "hold.approved_by": "cid", "hold.reason": "settled"}
    assert released == placed | people


@pytest.mark.parametrize("payload", [None, [], "x", {"released_at": {}, "agent": ["x" * 9999]}, {"reason": 5}])
def test_what_is_no_hold_is_told_within_bounds(payload: object) -> None:
    facts = describe_hold("h" * 9999, payload)
    assert facts["hold.state"] == "placed" and sum(map(len, facts.values())) < 1000
