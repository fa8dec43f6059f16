"""Who asked the API for what, as events of the log that agents' actions are in. No record, no answer."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from schemas.events import EventKind, Verdict
from schemas.wire.trail import Refusals, Trail, TrailSession

log = logging.getLogger(__name__)

AGENT: Final = "custody-api"
NOBODY: Final = "unknown"
REFUSALS_PER_MINUTE: Final = 60
"""Refusals recorded one by one; beyond it they are counted, and the next one recorded says how many."""
MAX_ATTRIBUTE_CHARS: Final = 2000


class Recorder:
    """Opens a session of the trail for each request."""

    def __init__(self, trail: Trail) -> None:
        self._trail = trail
        self._refusals = Refusals(REFUSALS_PER_MINUTE)

    def open(self, principal: str, source: tuple[str, int], client: str) -> TrailSession:
        """A session of one request. Raises AuditUnavailable."""
        return self._trail.open(
            AGENT, principal=principal, client=client[:200], source_ip=source[0], source_port=source[1]
        )

    async def request(self, session: TrailSession, operation: str, statement: str, facts: Mapping[str, Any]) -> None:
        """What is asked, durable when this returns. Raises AuditUnavailable."""
        session.record(
            EventKind.ACTION_REQUESTED,
            action_id=session.action_id,
            statement=statement,
            operation=operation,
            verdict=Verdict.ALLOW.value,
            attributes={
                key: str(value)[:MAX_ATTRIBUTE_CHARS] for key, value in facts.items() if value not in ("", None)
            },
        )
        await session.wait()

    async def finish(
        self,
        session: TrailSession,
        operation: str,
        status: int,
        rows: int,
        duration_us: int,
        error: str = "",
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """How it ended, durable when this returns. Raises AuditUnavailable."""
        session.record(
            EventKind.ACTION_COMPLETED,
            action_id=session.action_id,
            operation=operation,
            verdict=Verdict.ALLOW.value,
            status=str(status),
            rows=rows,
            duration_us=duration_us,
            error=error[:MAX_ATTRIBUTE_CHARS],
            attributes={key: value[:MAX_ATTRIBUTE_CHARS] for key, value in (facts or {}).items()},
        )
        session.close("answered", actions=1)
        await session.wait()

    async def refuse(self, session: TrailSession, operation: str, statement: str, reason: str) -> None:
        """What somebody who is known may not do, durable when this returns. Raises AuditUnavailable."""
        self._record_refusal(session, operation, statement, {"reason": reason})
        await session.wait()

    def refuse_unknown(self, source: tuple[str, int], client: str, operation: str, statement: str, reason: str) -> None:
        """A request of nobody known. Recorded without waiting, as long as they are not too many."""

        def write(before: dict[str, str]) -> None:
            session = self.open(NOBODY, source, client)
            self._record_refusal(session, operation, statement, {"reason": reason, **before})

        if not self._refusals.record(write):
            log.error("a refusal could not be recorded")

    def _record_refusal(self, session: TrailSession, operation: str, statement: str, facts: dict[str, str]) -> None:
        for kind in (EventKind.ACTION_REQUESTED, EventKind.ACTION_DECIDED):
            session.record(
                kind,
                action_id=session.action_id,
                statement=statement,
                operation=operation,
                verdict=Verdict.DENY.value,
                attributes=facts,
            )
        session.record(
            EventKind.ACTION_COMPLETED,
            action_id=session.action_id,
            operation=operation,
            verdict=Verdict.DENY.value,
            status=facts["reason"],
        )
        session.close("refused", actions=1)
