"""What an HTTP stream does with a request that people must approve: it waits, whole and on record."""

from typing import Any

from ingest.approvals import Outcome, Question
from ingest.gate import Ruling
from ingest.http.connection import AwaitHook
from ingest.http.masking import MaskingStream
from schemas.errors import AuditUnavailable
from schemas.events import Verdict

TOO_LONG = "a person cannot see all of a body that is long, or of unknown length, before it is sent"


class HoldingStream(MaskingStream):
    """A stream whose request may have to wait for a person."""

    def await_approval(self, ruling: Ruling, question: Question) -> Any:
        """Wait until people have decided on a recorded request. False: it must not go on (the agent has its answer)."""
        agent, exchange = self.agent, self.exchange
        found: list[Outcome] = []

        async def ask() -> None:
            # The connection is not idle meanwhile, and its peer may be silent.
            with agent.handler.timeout_watchdog.disarm():
                found.append(await agent.shared.proxy.approvals.wait(exchange.session, question, self.is_abandoned))

        yield AwaitHook(ask)
        if exchange.is_done or agent.is_closed or self.is_abandoned():
            return False
        if not found:
            yield from self.refuse_unrecorded()
            return False
        outcome = found[0]
        if not outcome.is_allowed:
            yield from self._refuse_held(ruling, outcome)
            return False
        exchange.is_write = True  # whatever it is, it goes upstream once the approval is on record
        if not (yield from self.wait_for(outcome.ticket)):
            yield from self.refuse_unrecorded()
            return False
        return True

    def _refuse_held(self, ruling: Ruling, outcome: Outcome) -> Any:
        exchange = self.exchange
        self.agent.shared.gate.refused(exchange.session)
        message = f"not approved: {outcome.told}"
        refusal = Ruling(
            Verdict.DENY.value,
            ruling.operation,
            ruling.objects,
            ruling.fingerprint,
            message,
            ruling.attributes,
            is_write=True,
        )
        try:
            exchange.decided(refusal)
            ticket = exchange.completed(403, error=message, verdict=refusal.verdict)
        except AuditUnavailable:
            ticket = -1
        if ticket < 0 or not (yield from self.wait_for(ticket)):
            yield from self.refuse_unrecorded()
            return
        facts = {"approval": outcome.approval_id} if outcome.approval_id else {}
        yield from self.answer_locally(403, f"approval_{outcome.code}", message, facts=facts)
