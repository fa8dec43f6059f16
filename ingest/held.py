"""The action of a conversation that waits for a person: asked for, decided or withdrawn, and let go or refused.

The relay says when; here is what that means for the action. Compiled where a C compiler is at hand (deploy/native.py).
"""

from collections.abc import Callable
from typing import Final

from ingest.action_records import ActionRecords, Live
from ingest.approvals import Approvals, Held, Outcome, Question
from ingest.codecs.base import Action, Codec
from ingest.gate import CANNOT, Ruling, SessionGate
from ingest.session import Session
from masking.inline.model import Unreadable

DENIED: Final = "42501"
TOO_LONG: Final = "it is too long for a person to see all of it"

OnDecided = Callable[[Action, Live, Ruling, Outcome, str], None]
"""What goes on with a held action once it is decided: action, its record, its ruling, the outcome, an error code."""


class HeldActions:
    """At most one action waits: what the agent sends behind it is not read meanwhile."""

    def __init__(
        self,
        session: Session,
        approvals: Approvals,
        gate: SessionGate,
        records: ActionRecords,
        codec: Codec,
        on_decided: OnDecided,
    ) -> None:
        self._session = session
        self._approvals = approvals
        self._gate = gate
        self._records = records
        self._codec = codec
        self._on_decided = on_decided
        self._waiting: tuple[Held, Action, Live, Ruling] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether an action waits for a person."""
        return self._waiting is not None

    def ask(self, action: Action, live: Live, ruling: Ruling) -> Held | Outcome:
        """Have people asked. An Outcome when nobody has to be: then nothing waits."""
        if ruling.approval is None or self._records.is_cut(action):
            return Outcome(False, "refused", TOO_LONG)
        question = Question(
            live.id,
            action.statement,
            ruling.fingerprint,
            ruling.approval,
            action.kind,
            action.parameters,
            ruling.operation,
            ruling.objects,
            attributes={**action.attributes, **ruling.attributes},
        )
        held = self._approvals.ask(
            self._session, question, lambda outcome: self._decided(action, live, ruling, outcome, DENIED)
        )
        if isinstance(held, Held):
            self._waiting = held, action, live, ruling
        return held

    def withdraw(self, why: str, code: str) -> None:
        """Nobody wants it any more; it is refused with that code."""
        if self._waiting is not None:
            held, action, live, ruling = self._waiting
            self._decided(action, live, ruling, self._approvals.withdraw(held, why), code)

    def end(self, reason: str) -> None:
        """The session is over: nobody is asked any more."""
        self._approvals.end_session(self._session.context.session_id, f"the session ended: {reason}")
        self._waiting = None

    def settle(
        self, action: Action, live: Live, ruling: Ruling, outcome: Outcome, code: str, *, has_masks: bool
    ) -> bool:
        """Whether the action may go, as a write whose request is the approval's record. Else it is refused.

        `has_masks`: its answer may have to be masked. Raises AuditUnavailable.
        """
        fault = outcome.told
        if outcome.is_allowed:
            fault = self._mask(action) if has_masks else ""
        if fault:
            self._gate.refused()
            self._records.refused(live, ruling)
            self._codec.refuse(action, code, f"Custody: not approved: {fault}")
            return False
        # Whatever it is, it goes upstream once the approval is on record.
        live.request = outcome.ticket
        live.is_write = True
        return True

    def _decided(self, action: Action, live: Live, ruling: Ruling, outcome: Outcome, code: str) -> None:
        self._waiting = None
        self._on_decided(action, live, ruling, outcome, code)

    def _mask(self, action: Action) -> str:
        """Have the answer of an approved action masked, if that is demanded; why it cannot be."""
        try:
            self._codec.mask(action)
        except Unreadable as fault:
            return f"{CANNOT}{fault}"
        return ""
