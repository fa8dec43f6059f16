"""Decisions that somebody is to know of: the first at once, the others counted, what waits left to approvals."""

from typing import Any

from schemas.events import Event
from sinks.approvals.notices import MAX_KINDS, QUIET_US, Notices
from tests.sinks.approvals.test_pending import batch
from tests.sinks.batches import START_US, make_event, make_session


def permitted(action_id: str = "x1", at: int = START_US, **values: Any) -> Event:
    facts = {"policy.ids": "watch-deletions", "policy.notify": "ops", "policy.reason": "deletions are watched"}
    values = {"statement": "DELETE FROM t WHERE id = 1", "verdict": "allow", "attributes": facts} | values
    return make_event(3, at, kind="action.requested", **(values | {"action_id": action_id}))


def test_a_decision_is_told_with_who_did_what() -> None:
    (notice,) = Notices().take(batch(permitted()))
    assert (notice.principal, notice.agent, notice.statement) == (
        "alice@example.test", "planner", "DELETE FROM t WHERE id = 1",
    )  # fmt: skip
    assert (notice.notify, notice.policies, notice.untold) == (("ops",), ("watch-deletions",), 0)
    assert (notice.reason, notice.id) == ("deletions are watched", f"{notice.session_id}.x1")


def test_others_alike_are_counted_for_a_minute() -> None:
    notices = Notices()
    found = [notices.take(batch(permitted(f"x{second}", START_US + second * 1_000_000))) for second in range(130)]
    told = [(each.id.rpartition(".")[2], each.untold) for one in found for each in one]
    assert told == [("x0", 0), ("x60", 59), ("x120", 59)]
    other = make_session()
    other.resource = "elsewhere"
    assert notices.take(batch(permitted("y", START_US + 130_000_000), context=other))
    assert notices.take(batch(permitted("z", START_US + 130_000_000, verdict="deny")))


def test_what_waits_or_concerns_nobody_is_not_told() -> None:
    notices = Notices()
    held = permitted(verdict="hold")
    outcome = permitted()
    outcome.kind = "action.completed"
    assert notices.take(batch(held, outcome, permitted("x2", attributes={"policy.ids": "a"}))) == []
    assert [each.id.rpartition(".")[2] for each in notices.take(batch(permitted("x3")))] == ["x3"]


def test_what_is_remembered_is_bounded() -> None:
    notices = Notices()
    for number in range(MAX_KINDS + 5):
        notices.take(batch(permitted(attributes={"policy.ids": f"p{number}", "policy.notify": "ops"})))
    assert len(notices._kinds) == MAX_KINDS
    assert notices.take(batch(permitted("later", START_US + QUIET_US)))
