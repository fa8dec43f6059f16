from dataclasses import replace

from console.demo.canaries import make_canaries
from console.demo.checks import as_bytes, check_absent, check_once, check_outcomes, check_tokens
from console.demo.executor import Done
from console.demo.plan import make_plan, marker
from console.events import Row, row_from
from tests.console.conftest import event

CANARIES = make_canaries()
STEP = make_plan(CANARIES)[0]
DONE = Done(STEP, "00000", "")


def trail() -> list[Row]:
    statement = f"/* {marker('run', STEP)} */ ‹us_ssn:x›"
    masked = [("us_ssn", 1, "x", ""), ("payment_card", 1, "y", "")]
    return [
        row_from(event(2, "action.requested", 0, action_id="s.1", statement=statement, masked=masked)),
        row_from(event(3, "action.completed", 1, action_id="s.1", status="00000")),
    ]


def test_a_whole_trail() -> None:
    assert check_outcomes([DONE]).is_fine
    assert check_once("run", [DONE], trail()).is_fine
    assert check_tokens(trail()).is_fine


def test_what_is_missing_or_twice_is_found() -> None:
    request, outcome = trail()
    assert "recorded 0 times" in check_once("run", [DONE], []).faults[0]
    assert "recorded 2 times" in check_once("run", [DONE], [request, request, outcome]).faults[0]
    assert "0 recorded outcomes" in check_once("run", [DONE], [request]).faults[0]
    assert "2 recorded outcomes" in check_once("run", [DONE], [request, outcome, outcome]).faults[0]
    other = replace(outcome, status="42P01")
    assert "the agent saw 00000, the trail says 42P01" in check_once("run", [DONE], [request, other]).faults[0]


def test_a_step_that_went_wrong_is_found() -> None:
    assert "ended with 58030, not 00000" in check_outcomes([Done(STEP, "58030", "")]).faults[0]


def test_a_secret_anywhere_is_found() -> None:
    card = CANARIES.card
    for value in (card, card.encode(), [None, card], {"k": card}, {card: 1}, [(b"x", card.encode())], f"a{card}b"):
        check = check_absent(CANARIES, [{"seq": 1, "column": value}])
        assert check.faults == ("the card stands in column column of seq 1",)
    assert check_absent(CANARIES, [{"seq": 1, "column": "4111"}]).is_fine
    assert as_bytes(7) == b"7"


def test_missing_tokens_are_found() -> None:
    faults = check_tokens([replace(trail()[1], masked=())]).faults
    assert faults[0] == "nothing was masked as payment_card"
    assert faults[-1] == "no statement shows a token"
