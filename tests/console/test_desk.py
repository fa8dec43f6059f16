"""One reader for many who ask, and decisions one by one. The whole way: api/endpoints/test_approvals.py."""

import threading
from collections.abc import Iterator

import pytest

from console import desk as module
from console.control import find_place, open_view
from console.desk import Clicked, Desk
from schemas.errors import ConfigError
from schemas.runtime import Home, now_us
from sinks.approvals.pending import HeldAction
from tests.sinks.approvals.test_pending import asked, batch, decided


@pytest.fixture
def desk(home: Home) -> Iterator[Desk]:
    place = find_place()
    with open_view(place) as view:
        made = Desk(place, view)
        made.start()
        yield made
        made.close()


def wait_on(desk: Desk, id: str = "a" * 12) -> HeldAction:
    """An action that was asked for after all that the log of these tests tells: starts of proxies end earlier waits."""
    desk.waiting()
    event = asked(id, at=now_us())
    event.attributes["approval.expires_at"] = str(now_us() + 60_000_000)
    desk._pending.take(batch(event))
    (held,) = [each for each in desk.waiting() if each.approval_id == id]
    return held


def test_how_a_wait_ended_is_told(desk: Desk) -> None:
    held = wait_on(desk)
    assert desk.find(held.approval_id) == held
    desk._pending.take(batch(decided("denied", held.approval_id)))
    ending = desk.find(held.approval_id)
    assert ending is not None and not isinstance(ending, HeldAction) and ending.status == "denied"
    assert desk.find("b" * 12) is None


def test_a_second_decision_of_the_same_person_is_not_written_while_the_first_is_on_its_way(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = wait_on(desk, "c" * 12)
    written: list[str] = []
    is_written = threading.Event()

    def write(place: object, decision: object) -> None:
        written.append(str(decision))
        is_written.set()

    monkeypatch.setattr(module, "write_decision", write)
    answers: list[str] = []

    def decide() -> None:
        answers.append(desk.decide(held, approver="bob", verdict="approve", wait_s=30).status)

    thread = threading.Thread(target=decide)
    thread.start()
    assert is_written.wait(30)
    with pytest.raises(Clicked):
        desk.decide(held, approver="bob", verdict="approve")
    with desk._changed:
        desk._pending.take(batch(decided("approved", held.approval_id)))
        desk._changed.notify_all()
    thread.join(30)
    assert (answers, len(written)) == (["approved"], 1)


def test_no_answer_is_no_approval(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    held = wait_on(desk, "d" * 12)
    monkeypatch.setattr(module, "write_decision", lambda place, decision: None)
    assert desk.decide(held, approver="bob", verdict="approve", wait_s=0.05).status == "unknown"
    with pytest.raises(ConfigError, match="approver"):
        desk.decide(held, approver="", verdict="approve")
