"""What waits, as the masked log tells it: repeats, restarts and ends in any order change nothing that is over."""

from typing import Any

from schemas.events import Event, EventBatch, SessionContext, SessionEvent
from sinks.approvals.pending import MAX_REFUSED, Pending
from tests.sinks.batches import START_US, make_event, make_session

LATER = START_US + 60_000_000


def asked(id: str = "a1", at: int = START_US, **values: Any) -> Event:
    facts = {
        "kind": "query",
        "approval.id": id,
        "approval.digest": "d" * 64,
        "approval.reason": "deletions wait",
        "approval.approvers": "2",
        "approval.expires_at": str(LATER),
        "policy.ids": "a,b",
        "policy.notify": "ops",
    }
    values = {"statement": "DELETE FROM t", "payload": b"", "payload_type": "", "attributes": facts} | values
    return make_event(1, at, kind="approval.requested", **values)


def decided(status: str, id: str = "a1", by: str = "bob", **values: Any) -> Event:
    facts = {"approval.id": id, "approval.approver": by}
    return make_event(2, kind="approval.decided", status=status, attributes=facts, **values)


def batch(*events: Event, context: SessionContext | None = None, epoch: str = "e1") -> EventBatch:
    items = [SessionEvent(0, event) for event in events]
    return EventBatch("proxy-tcp", epoch, 0, sessions=[context or make_session()], events=items)


def test_what_is_asked_waits_with_all_that_an_approver_needs() -> None:
    pending = Pending()
    (held,) = pending.take(batch(asked()))
    assert pending.waiting(START_US) == [held]
    assert (held.principal, held.agent, held.statement, held.approvers) == (
        "alice@example.test", "planner", "DELETE FROM t", 2,
    )  # fmt: skip
    assert (held.notify, held.policies, held.reason) == (("ops",), ("a", "b"), "deletions wait")
    assert held.own == {"alice@example.test", "planner"}
    assert pending.waiting(LATER) == []


def test_an_end_holds_whatever_comes_again() -> None:
    for status in ("approved", "denied", "timeout", "withdrawn"):
        pending = Pending()
        pending.take(batch(asked()))
        pending.take(batch(decided(status, error="why", duration_us=7)))
        assert pending.take(batch(asked())) == [] and pending.waiting(START_US) == []
        ending = pending.ending("a1")
        assert ending is not None and (ending.status, ending.approver, ending.delay_us) == (status, "bob", 7)
        pending.take(batch(decided("denied", by="eve")))
        assert pending.ending("a1") == ending
    assert Pending().take(batch(asked(), decided("approved"))) == []


def test_decisions_that_do_not_end_it_are_told() -> None:
    pending = Pending()
    pending.take(batch(asked()))
    pending.take(batch(decided("counted"), decided("counted"), decided("refused", by="alice", error="own")))
    (held,) = pending.waiting(START_US)
    assert held.approved_by == ("bob",)
    assert [(refused.approver, refused.error) for refused in pending.refused_since(0)] == [("alice", "own")]


def test_of_very_many_that_do_not_count_the_newest_are_told() -> None:
    pending = Pending()
    for number in range(MAX_REFUSED + 50):
        pending.take(batch(decided("refused", by=f"p{number}")))
    before = pending.refused_count
    assert before == MAX_REFUSED + 50 and pending.refused_since(before) == []
    pending.take(batch(decided("refused", by="last")))
    assert [refused.approver for refused in pending.refused_since(before)] == ["last"]
    assert len(pending.refused_since(0)) == MAX_REFUSED


def test_what_waited_in_an_earlier_run_of_its_proxy_is_lost() -> None:
    pending = Pending()
    pending.take(batch(asked("a1"), asked("a2", at=LATER)))
    started = make_event(1, LATER - 1, kind="proxy.started", attributes={"epoch": "e2"})
    pending.take(batch(started, epoch="e2"))
    assert [held.approval_id for held in pending.waiting(START_US)] == ["a2"]
    ending = pending.ending("a1")
    assert ending is not None and ending.status == "lost"


def test_malformed_facts_are_nothing_to_wait_for() -> None:
    pending = Pending()
    assert pending.take(batch(asked(attributes={}))) == []
    facts = {"approval.id": "a1", "approval.expires_at": "soon", "approval.approvers": "9" * 30}
    (held,) = pending.take(batch(asked(attributes=facts, payload=b"\xff\xfe", payload_type="binary")))
    assert (held.expires_at, held.approvers, held.content) == (0, 0, "")
    assert pending.waiting(START_US) == []
