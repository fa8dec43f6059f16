"""Holds on the real broker and store: two people, one name each, released once."""

from typing import Any

import pytest

from console.control import find_place
from console.legal_holds import count_held, describe_criteria, list_holds, place_hold, release_hold
from console.store import open_store
from schemas.errors import ConfigError
from schemas.holds import parse_hold
from schemas.runtime import Home
from tests.console.conftest import Record

ASKED: dict[str, Any] = {"authority": "court 12/26", "reason": "litigation", "by": "ann", "approved_by": "bob"}


def test_a_hold_is_placed_listed_and_released_once(home: Home) -> None:
    place = find_place()
    id, hold = place_hold(place, {"session": "no-such-session"}, **ASKED)
    assert list_holds(place)[id] == hold and hold.is_active
    with pytest.raises(ConfigError, match="there is a hold"):
        place_hold(place, {"session": "other"}, **ASKED, id=id)
    people = {"by": "ann", "approved_by": "Ann "}
    with pytest.raises(ConfigError, match="cannot approve"):
        release_hold(place, id, reason="settled", **people)
    with pytest.raises(ConfigError, match="needs a reason"):
        release_hold(place, id, reason=" ", by="ann", approved_by="cid")
    released = release_hold(place, id, reason="settled", by="ann", approved_by="cid")
    assert list_holds(place)[id] == released and not released.is_active
    with pytest.raises(ConfigError, match="already"):
        release_hold(place, id, reason="settled", by="ann", approved_by="cid")
    with pytest.raises(ConfigError, match="no hold"):
        release_hold(place, "nothing", reason="settled", by="ann", approved_by="cid")


@pytest.mark.parametrize("changes", [{"approved_by": "ann"}, {"id": "../x"}, {"authority": ""}])
def test_what_is_no_hold_is_not_written(home: Home, changes: dict[str, str]) -> None:
    place = find_place()
    before = list_holds(place)
    with pytest.raises(ConfigError):
        place_hold(place, {"session": "no-such-session"}, **{**ASKED, **changes})
    with pytest.raises(ConfigError):
        place_hold(place, {}, **ASKED)
    assert list_holds(place) == before


def test_a_hold_counts_what_it_takes_in(filled: Record) -> None:
    def hold(**criteria: Any) -> Any:
        base = {"authority": "court", "reason": "x", "placed_by": "a", "approved_by": "b", "placed_at": 1}
        return parse_hold("h", {**base, "opening": "00" * 16, **criteria})

    with open_store(find_place()) as store:
        assert count_held(store, hold(session="s1")).events == 5
        assert count_held(store, hold(agent="planner", resource="orders")).sessions == 1
        assert count_held(store, hold(token="abc")).events == 5
        assert count_held(store, hold(session="s1", until=1)).events == 0
    text = describe_criteria(hold(session="s1", since=1_790_000_000_000_000))
    assert text == "session s1, since 2026-09-21 14:13:20.000"
