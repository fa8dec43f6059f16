"""Which decision on a held action counts: races, wrong people, wrong actions, and what is recorded of each."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ingest.approvals import Approvals, Held, Outcome, Question
from masking.tokens import DigestKey
from policy.model import ApprovalObligation
from schemas import config
from schemas.approvals import Decision
from schemas.errors import AuditUnavailable
from schemas.events import Hop, SessionContext

ANN = "ann@example.test"
BOB = "bob@example.test"
EVE = "eve@example.test"


class Record:
    """A session's record, kept. Stands for ingest.session.Session."""

    def __init__(self, id: str = "s1", principal: str = ANN) -> None:
        chain = [Hop("orchestrator", principal), Hop("planner", "carol@example.test")]
        self.context = SessionContext(id, principal, "planner", chain)
        self.is_closed = False
        self.is_away = False
        self.events: list[tuple[str, dict[str, Any]]] = []

    def record(self, kind: str, **values: Any) -> int:
        if self.is_away:
            raise AuditUnavailable("away")
        self.events.append((kind, values))
        return len(self.events)

    @property
    def statuses(self) -> list[str]:
        return [values["status"] for kind, values in self.events if kind == "approval.decided"]

    @property
    def last(self) -> dict[str, Any]:
        return self.events[-1][1]


class Desk:
    """Approvals and what came of those asked for."""

    def __init__(self, **settings: Any) -> None:
        self.version = "v1"
        self.approvals = Approvals(config.Approvals(**settings), DigestKey(b"k" * 32), lambda: self.version)
        self.session = Record()
        self.outcomes: list[Outcome] = []
        self.asked = 0

    def ask(self, statement: str = "DELETE FROM t", fingerprint: str = "f1", **changes: Any) -> Held | Outcome:
        self.asked += 1
        id = f"{self.session.context.session_id}.{self.asked}"
        question = Question(id, statement, fingerprint, ApprovalObligation("why", **changes), parameters=["1"])
        return self.approvals.ask(self.session, question, self.outcomes.append)

    def hold(self, **changes: Any) -> Held:
        held = self.ask(**changes)
        assert isinstance(held, Held)
        return held

    def decide(self, held: Held, approver: str = BOB, verdict: str = "approve", **changes: Any) -> None:
        values = {
            "approval_id": held.id,
            "session_id": held.session.context.session_id,
            "digest": held.digest,
            "verdict": verdict,
            "approver": approver,
            "at": 1,
        }
        self.approvals.decide(Decision.model_validate(values | changes))


def on_loop(test: Callable[..., Any]) -> Callable[..., Any]:
    """Run a test on a loop of its own, with a desk."""

    def run(**arguments: Any) -> None:
        async def main() -> None:
            result = test(Desk(), **arguments)
            if result is not None:
                await result

        asyncio.run(main())

    run.__name__ = test.__name__
    return run


@on_loop
def test_the_request_names_what_is_asked_and_the_decision_who_decided(desk: Desk) -> None:
    held = desk.hold()
    kind, asked = desk.session.events[0]
    assert (kind, asked["statement"], asked["parameters"]) == ("approval.requested", "DELETE FROM t", ["1"])
    assert asked["attributes"]["approval.digest"] == held.digest and "DELETE" not in held.digest
    desk.decide(held, reason="go on")
    (outcome,) = desk.outcomes
    assert (outcome.is_allowed, outcome.code, outcome.ticket) == (True, "approved", 2)
    assert desk.session.last["attributes"] == {
        "approval.id": held.id,
        "approval.approver": BOB,
        "approval.scope": "once",
        "approval.comment": "go on",
    }
    assert desk.approvals.count == 0


@on_loop
def test_the_first_decision_wins_and_the_second_is_recorded_as_ignored(desk: Desk) -> None:
    held = desk.hold()
    desk.decide(held, verdict="deny", reason="no")
    desk.decide(held)
    desk.decide(held, EVE, "deny")
    assert [outcome.code for outcome in desk.outcomes] == ["denied"]
    assert "denied by bob@example.test: no" in desk.outcomes[0].told
    assert desk.session.statuses == ["denied", "ignored", "ignored"]
    assert desk.session.last["error"] == f"decided already: denied by {BOB}"


@on_loop
def test_a_double_click_lets_one_action_through_once(desk: Desk) -> None:
    held = desk.hold()
    desk.decide(held)
    desk.decide(held)
    assert len(desk.outcomes) == 1
    assert isinstance(desk.ask(), Held)  # the next action of this shape waits again


@pytest.mark.parametrize(
    "name", [ANN, "ANN@Example.Test ", "planner", "orchestrator", "carol@example.test", "\uff41nn@example.test"]
)
def test_nobody_approves_the_action_of_their_own_agent(name: str) -> None:
    @on_loop
    def check(desk: Desk) -> None:
        held = desk.hold()
        desk.decide(held, name)
        assert desk.outcomes == [] and desk.approvals.count == 1
        assert desk.session.last["error"] == "nobody approves the actions of an agent of their own"
        desk.decide(held, name, "deny")  # but may stop it
        assert [outcome.code for outcome in desk.outcomes] == ["denied"]

    check()


@pytest.mark.parametrize("changes", [{"digest": "0" * 64}, {"session_id": "s2"}])
@pytest.mark.parametrize("verdict", ["approve", "deny"])
def test_a_decision_for_another_action_does_not_count(changes: dict[str, Any], verdict: str) -> None:
    @on_loop
    def check(desk: Desk) -> None:
        held = desk.hold()
        desk.decide(held, verdict=verdict, **changes)
        assert desk.outcomes == [] and desk.session.statuses == ["refused"]
        assert desk.session.last["error"] == "it is for another action"
        desk.decide(held)
        assert desk.outcomes[0].is_allowed

    check()


@on_loop
def test_the_digest_is_of_the_whole_action_and_keyed(desk: Desk) -> None:
    digests = {desk.hold(statement=text).digest for text in ("DELETE FROM t", "DELETE FROM t ", "DELETE FROM u")}
    assert len(digests) == 3
    other = Approvals(config.Approvals(), DigestKey(b"x" * 32), lambda: "v1")
    question = Question("s1.1", "DELETE FROM t", "f1", ApprovalObligation("why"), parameters=["1"])
    held = other.ask(desk.session, question, desk.outcomes.append)
    assert isinstance(held, Held) and held.digest not in digests


@on_loop
def test_two_different_people_where_policy_wants_two(desk: Desk) -> None:
    held = desk.hold(approvers=2)
    desk.decide(held)
    desk.decide(held, "BOB@example.test")
    assert desk.outcomes == []
    assert desk.session.statuses == ["counted", "refused"]
    assert desk.session.last["error"] == "the same person has approved it already"
    desk.decide(held, ANN)
    assert desk.outcomes == []
    desk.decide(held, EVE)
    assert desk.outcomes[0].is_allowed
    assert desk.session.last["attributes"]["approval.approver"] == f"{BOB}, {EVE}"


@on_loop
def test_one_denial_is_enough_where_two_must_approve(desk: Desk) -> None:
    held = desk.hold(approvers=2)
    desk.decide(held)
    desk.decide(held, EVE, "deny")
    assert [outcome.code for outcome in desk.outcomes] == ["denied"]


@on_loop
def test_a_shape_passes_in_its_session_while_it_is_approved(desk: Desk) -> None:
    desk.decide(desk.hold(), scope="shape", minutes=5)
    assert desk.session.last["attributes"]["approval.minutes"] == "5"
    again = desk.ask(statement="DELETE FROM t WHERE a = 2")
    assert isinstance(again, Outcome) and again.is_allowed and again.ticket == len(desk.session.events)
    assert desk.session.last["attributes"]["approval.scope"] == "shape"
    assert isinstance(desk.ask(fingerprint="f2"), Held)
    desk.session = Record("s2")
    assert isinstance(desk.ask(), Held)


@on_loop
def test_an_approved_shape_ends_with_its_time_its_policies_and_its_session(desk: Desk) -> None:
    desk.decide(desk.hold(), scope="shape", minutes=5)
    desk.version = "v2"
    assert isinstance(desk.ask(), Held)
    desk.version = "v1"
    key, (until, id, who) = next(iter(desk.approvals._shapes.items()))
    desk.approvals._shapes[key] = (until - 300, id, who)
    assert isinstance(desk.ask(), Held)
    desk.approvals._shapes[key] = (until, id, who)
    assert isinstance(desk.ask(), Outcome)
    desk.approvals.end_session("s1", "closed")
    assert isinstance(desk.ask(), Held)


@on_loop
def test_a_shape_needs_a_shape_and_a_time_and_both_people(desk: Desk) -> None:
    held = desk.hold(fingerprint="")
    desk.decide(held, scope="shape", minutes=5)
    desk.decide(held, scope="shape")
    assert desk.outcomes == [] and desk.session.statuses == ["refused", "refused"]
    held = desk.hold(approvers=2)
    desk.decide(held, scope="shape", minutes=5)
    desk.decide(held, EVE)
    assert desk.outcomes[0].is_allowed and isinstance(desk.ask(), Held)
    held = desk.hold(approvers=2)
    desk.decide(held, scope="shape", minutes=5)
    desk.decide(held, EVE, scope="shape", minutes=3)
    assert desk.session.last["attributes"]["approval.minutes"] == "3"


@on_loop
async def test_time_runs_out_once(desk: Desk) -> None:
    desk.approvals = Approvals(config.Approvals(timeout_s=0.01), DigestKey(b"k" * 32), lambda: "v1")
    held = desk.hold()
    while not desk.outcomes:
        await asyncio.sleep(0.01)
    desk.decide(held)
    assert [outcome.code for outcome in desk.outcomes] == ["timeout"]
    assert desk.session.statuses == ["timeout", "ignored"]


@on_loop
async def test_a_decision_before_the_time_is_over_ends_the_time(desk: Desk) -> None:
    held = desk.hold(within_s=1)
    desk.decide(held)
    assert held.timer is not None and held.timer.cancelled()


@on_loop
def test_the_end_of_a_session_withdraws_all_that_waits_in_it(desk: Desk) -> None:
    held, other = desk.hold(), desk.hold(fingerprint="f2")
    desk.approvals.end_session("s1", "closed")
    desk.session.is_closed = True
    desk.decide(held)
    desk.decide(other)
    assert desk.outcomes == [] and desk.approvals.count == 0
    assert desk.session.statuses == ["withdrawn", "withdrawn"]  # and nothing behind its end


@on_loop
def test_what_cannot_be_recorded_is_not_allowed(desk: Desk) -> None:
    held = desk.hold()
    desk.session.is_away = True
    desk.decide(held, scope="shape", minutes=5)
    assert [outcome.is_allowed for outcome in desk.outcomes] == [False]
    assert "audit log" in desk.outcomes[0].told
    desk.session.is_away = False
    assert isinstance(desk.ask(), Held)  # nor is its shape


@on_loop
def test_a_closed_session_is_allowed_nothing(desk: Desk) -> None:
    held = desk.hold()
    desk.session.is_closed = True
    desk.decide(held)
    assert [outcome.is_allowed for outcome in desk.outcomes] == [False]


def test_an_agent_cannot_make_everything_wait() -> None:
    async def check() -> None:
        desk = Desk(max_pending=3, max_pending_per_agent=2)
        first = desk.hold()
        desk.hold()
        refused = desk.ask()
        assert isinstance(refused, Outcome) and not refused.is_allowed and "too many" in refused.told
        desk.decide(first)
        desk.hold()
        desk.session = Record("s2", EVE)
        desk.hold()
        assert isinstance(desk.ask(), Outcome)

    asyncio.run(check())


@on_loop
async def test_who_waits_is_told_when_it_is_decided_withdrawn_or_gone(desk: Desk) -> None:
    def question(number: int) -> Question:
        return Question(f"s1.{number}", "DELETE FROM t", "f1", ApprovalObligation("why"))

    def wait(number: int) -> "asyncio.Task[Outcome]":
        return asyncio.create_task(desk.approvals.wait(desk.session, question(number), lambda: number == 2))

    waiting = [wait(number) for number in range(3)]
    await asyncio.sleep(0)
    (held, ended, _gone) = desk.approvals._held.values()
    desk.decide(held)
    assert (await waiting[0]).is_allowed
    desk.approvals.withdraw(ended, "no more")
    assert [(await task).code for task in waiting[1:]] == ["withdrawn", "withdrawn"]
    task = wait(3)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert desk.approvals.count == 0
