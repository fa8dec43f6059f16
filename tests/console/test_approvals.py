"""Finding what waits, and what a proxy's words about a decision mean. The whole way: commands/test_approvals.py."""

from types import SimpleNamespace
from typing import Any

import pytest

from console.approvals import Answer, as_document, find_held, find_window_s, read_past, wait_for_answer
from console.control import find_place
from console.store import open_store
from schemas.approvals import Decision
from schemas.config import Settings
from schemas.errors import ConfigError
from schemas.events import ControlKind, Event
from schemas.runtime import now_us
from sinks.approvals.pending import HeldAction, Pending
from tests.console.conftest import Record
from tests.sinks.approvals.test_pending import asked, batch, decided
from tests.sinks.batches import make_session


def waiting(*ids: str) -> Pending:
    pending = Pending()
    for id in ids:
        event = asked(id)
        event.attributes["approval.expires_at"] = str(now_us() + 60_000_000)
        pending.take(batch(event))
    return pending


def test_an_approval_is_found_by_the_beginning_of_its_id() -> None:
    pending = waiting("abc1", "abd2")
    assert find_held(pending, "abc").approval_id == "abc1"
    for id, fault in (("ab", "begins more than one"), ("x", "no approval 'x' waits"), ("", "no approval ''")):
        with pytest.raises(ConfigError, match=fault):
            find_held(pending, id)
    pending.take(batch(decided("denied", "abc1")))
    with pytest.raises(ConfigError, match="abc1 is over: denied by bob"):
        find_held(pending, "abc1")


LATE = "decided already: denied by eve"
SILENT = "its proxy has not answered in time; see `custody approvals list`"


@pytest.mark.parametrize(
    ("event", "answer"),
    [
        (decided("approved", duration_us=9), Answer("approved", "", 9)),
        (decided("approved", by="eve, bob", duration_us=9), Answer("approved", "", 9)),
        (decided("approved", by="eve"), Answer("ignored", "it was over before: approved by eve")),
        (decided("denied"), Answer("ignored", "it was over before: denied by bob")),
        (decided("timeout", by=""), Answer("ignored", "it was over before: timeout")),
        (decided("counted"), Answer("counted", "1 of 2")),
        (decided("refused", error="own"), Answer("refused", "own")),
        (decided("ignored", error=LATE), Answer("ignored", LATE)),
        (decided("refused", by="eve", error="own"), Answer("unknown", SILENT)),
    ],
)  # fmt: skip
def test_what_came_of_a_decision(event: Event, answer: Answer) -> None:
    pending = waiting("a1")
    held = find_held(pending, "a1")
    follower: Any = SimpleNamespace(pending=pending, poll=lambda _timeout_s: pending.take(batch(event)))
    assert wait_for_answer(follower, held, decision_on(held), 0.05) == answer


def decision_on(held: HeldAction) -> Decision:
    return Decision(
        approval_id="0" * 12, session_id="s", digest="0" * 64, verdict="approve", approver="bob", at=held.asked_at
    )


def test_the_window_is_the_longest_time_that_anything_may_wait() -> None:
    def view(*texts: str) -> Any:
        entries = {str(number): {"cedar": text} for number, text in enumerate(texts)}
        return SimpleNamespace(all=lambda kind: entries if kind is ControlKind.POLICY else {})

    assert find_window_s(Settings(), view()) == 120
    long = '@approval("x; within=900") permit (principal, action, resource);'
    assert find_window_s(Settings(), view(long)) == 900
    assert find_window_s(Settings(), view("not cedar")) == 3600


def test_the_past_is_the_agents_last_day_and_the_sessions_last_actions(filled: Record) -> None:
    context = make_session("s1", principal="dana@example.com")
    pending = Pending()
    pending.take(batch(asked(action_id="s1.9"), context=context))
    (held,) = pending.waiting(0)
    with open_store(find_place()) as store:
        past = read_past(store, held)
    assert (past.actions, past.recent[-1]) == (2, "SELECT id, card FROM cards WHERE id < $1")
    document = as_document(held, past)
    assert document["past"]["actions"] == 2 and "past" not in as_document(held)
    assert document["delegation"] == [{"actor": "planner", "on_behalf_of": "alice@example.test"}]
