"""An action that waits: what is asked, and how it goes on when it is approved, denied, withdrawn or too long."""

from typing import Any

import pytest

from ingest.action_records import ActionRecords, Live
from ingest.approvals import Approvals, Held, Outcome
from ingest.codecs.base import Action
from ingest.gate import Gate, Ruling, SessionGate
from ingest.held import DENIED, TOO_LONG, HeldActions
from ingest.session import Recorder
from masking.inline.model import Unreadable
from masking.tokens import DigestKey
from policy.decide import load_engine
from policy.model import ApprovalObligation
from schemas import config
from schemas.approvals import Decision
from tests.ingest.test_session import open_session


class Refusals:
    """What the codec was told. Stands for a codec, which would answer its agent."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.told: list[str] = []

    def refuse(self, action: Action, code: str, message: str) -> None:
        self.told.append(f"{code} {message}")

    def mask(self, action: Action) -> None:
        if self.fault:
            raise Unreadable(self.fault)


class Desk:
    """One session in which an action is held, and how it was decided."""

    def __init__(self, recorder: Recorder, name: str, fault: str = "") -> None:
        self.session = open_session(recorder, name, limits={"max_statement_bytes": 1024})
        self.approvals = Approvals(config.Approvals(), DigestKey(b"k" * 32), lambda: "v1")
        self.codec: Any = Refusals(fault)
        self.records = ActionRecords(self.session)
        gate = SessionGate(Gate(load_engine(), "postgres"), self.session)
        self.held = HeldActions(self.session, self.approvals, gate, self.records, self.codec, self._decided)
        self.ruling = Ruling("hold", "delete", ["t"], "", "", {}, is_write=True, approval=ApprovalObligation("why"))
        self.outcomes: list[tuple[Outcome, str]] = []
        self.went: list[bool] = []

    def _decided(self, action: Action, live: Live, ruling: Ruling, outcome: Outcome, code: str) -> None:
        self.outcomes.append((outcome, code))
        self.went.append(self.held.settle(action, live, ruling, outcome, code, has_masks=True))

    def ask(self, statement: str = "DELETE FROM t") -> tuple[Live, Held | Outcome]:
        action = Action(statement)
        live = self.records.requested(action, self.ruling)
        return live, self.held.ask(action, live, self.ruling)

    def decide(self, held: Held, verdict: str) -> None:
        values = {"session_id": self.session.context.session_id, "approver": "bob@example.test", "at": 1}
        decision = {"approval_id": held.id, "digest": held.digest, "verdict": verdict, **values}
        self.approvals.decide(Decision.model_validate(decision))


async def test_an_approved_action_goes_as_a_write_with_the_approvals_record(recorder: Recorder) -> None:
    desk = Desk(recorder, "approved")
    live, held = desk.ask()
    assert isinstance(held, Held) and desk.held.is_waiting and not live.is_write
    desk.decide(held, "approve")
    assert (desk.went, desk.codec.told, desk.held.is_waiting) == ([True], [], False)
    assert live.is_write and live.request == desk.outcomes[0][0].ticket > held.ticket


async def test_a_denied_or_withdrawn_action_is_refused_with_its_code(recorder: Recorder) -> None:
    desk = Desk(recorder, "denied")
    _, held = desk.ask()
    assert isinstance(held, Held)
    desk.decide(held, "deny")
    desk.ask()
    desk.held.withdraw("canceled by the agent", "57014")
    desk.held.withdraw("canceled by the agent", "57014")  # nothing waits: nothing happens
    assert desk.went == [False, False] and not desk.held.is_waiting
    assert desk.codec.told[0].startswith(f"{DENIED} Custody: not approved: ")
    assert desk.codec.told[1].startswith("57014 Custody: not approved: ")


async def test_what_nobody_can_see_whole_is_not_asked_for(recorder: Recorder) -> None:
    desk = Desk(recorder, "long")
    _, asked = desk.ask("DELETE FROM t --" + "x" * 1024)
    assert isinstance(asked, Outcome) and (asked.is_allowed, asked.told) == (False, TOO_LONG)
    assert not desk.held.is_waiting and desk.approvals.count == 0


@pytest.mark.parametrize(("fault", "goes"), [("", True), ("no rows", False)], ids=["masked", "unreadable"])
async def test_an_approved_action_whose_answer_cannot_be_masked_is_refused(
    recorder: Recorder, fault: str, goes: bool
) -> None:
    desk = Desk(recorder, f"masked-{goes}".lower(), fault)
    _, held = desk.ask()
    assert isinstance(held, Held)
    desk.decide(held, "approve")
    assert desk.went == [goes]
    assert all(fault in told for told in desk.codec.told) and len(desk.codec.told) == (not goes)


async def test_the_end_of_the_session_ends_the_wait(recorder: Recorder) -> None:
    desk = Desk(recorder, "ended")
    desk.ask()
    desk.held.end("agent_closed")
    assert (desk.held.is_waiting, desk.approvals.count, desk.outcomes) == (False, 0, [])
