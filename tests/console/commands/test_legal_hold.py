"""`custody legal-hold` on the real broker: what it says, and what it refuses."""

import json

from schemas.runtime import Home
from tests.console.conftest import Run

SESSION = "5e" * 16
ASKED = ("--authority", "court 12/26", "--reason", "litigation", "--by", "ann")


def test_place_list_and_release(custody: Run, home: Home) -> None:
    placed = custody("legal-hold", "place", "--session", SESSION, *ASKED, "--approved-by", "bob", "--json")
    hold = json.loads(placed.out)
    assert placed.code == 0 and hold["session"] == SESSION and hold["is_active"] and "opening" not in hold
    listed = [json.loads(line) for line in custody("legal-hold", "list", "--json").out.splitlines()]
    assert hold["id"] in [item["id"] for item in listed]
    answer = custody("legal-hold", "release", hold["id"], "--reason", "over", "--by", "cid", "--approved-by", "dan")
    assert answer.code == 0 and f"hold {hold['id']} is released: session {SESSION}" in answer.out
    assert "the store does not answer" in answer.out  # there is none in this home: the hold stands all the same
    assert hold["id"] not in custody("legal-hold", "list").out
    assert "released by cid, dan" in custody("legal-hold", "list", "--all").out.replace("\n", " ")


def test_one_person_is_not_enough(custody: Run, home: Home) -> None:
    answer = custody("legal-hold", "place", "--session", SESSION, *ASKED, "--approved-by", "ANN")
    assert answer.code == 2 and "ann cannot approve what ann asks for" in answer.err
    answer = custody("legal-hold", "place", *ASKED, "--approved-by", "bob")
    assert answer.code == 2 and "at least one criterion" in answer.err


def test_a_hold_on_the_beginning_of_an_id_is_not_placed_unless_a_session_has_it(custody: Run, home: Home) -> None:
    before = custody("legal-hold", "list", "--json").out
    answer = custody("legal-hold", "place", "--session", SESSION[:8], *ASKED, "--approved-by", "bob")
    assert answer.code == 2  # no store of this home can be asked
    assert custody("legal-hold", "list", "--json").out == before
