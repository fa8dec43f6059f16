"""What a session's record says of the actions in it: asked for, refused, completed; and of bytes that were no action.

The relay decides what happens; here is how it is written down.
"""

from typing import Final

import orjson

from ingest.claims import read_sql_claims
from ingest.codecs.base import AGENT, Action, Noted, Opaque, Side
from ingest.column_sources import ColumnSources
from ingest.gate import Ruling
from ingest.session import MAX_TEXT, Session
from ingest.stream import Stream
from masking.inline.model import Report
from policy.record_text import write_record
from schemas.clock import now_us
from schemas.events import EventKind, Masked, Verdict

ACTION_REQUESTED: Final = EventKind.ACTION_REQUESTED.value
ACTION_DECIDED: Final = EventKind.ACTION_DECIDED.value
ACTION_COMPLETED: Final = EventKind.ACTION_COMPLETED.value
DATA_SENT: Final = EventKind.DATA_SENT.value
DATA_RECEIVED: Final = EventKind.DATA_RECEIVED.value

NO_CLAIMS: Final[dict[str, str]] = {}
MAY_END_COMMENT: Final = "/; \t\r\n"

NO_VERDICT: Final = Verdict.NONE.value
MASKED: Final = Verdict.MASK.value
DENIED_VERDICT: Final = Verdict.DENY.value


class Live:
    """What is known of an action under way."""

    def __init__(self, id: str, at: int, is_write: bool) -> None:
        self.id = id
        self.at = at
        self.is_write = is_write
        self.request = 0  # ticket of its request
        self.outcome = 0  # ticket of its outcome
        self.streams: dict[Side, Stream] | None = None  # of an open-ended action
        self.shape = ""  # of its statement; "": not known
        self.mark = 0  # what `Session.awaits` gave
        self.why: dict[str, str] = {}  # the rules that demand a mask


class ActionRecords:
    """Writes the actions of one session. Each method raises AuditUnavailable when the log takes no more."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._max_statement = session.resource.limits.max_statement_bytes
        self._sources = ColumnSources()

    def is_cut(self, action: Action) -> bool:
        """Whether the record does not hold all of what was asked for."""
        return action.is_truncated or len(action.statement) > self._max_statement

    def requested(self, action: Action, ruling: Ruling) -> Live:
        """An action and what policy says of it."""
        # A held action is not under way before it is approved.
        live = Live(self._session.next_action_id(), now_us(), ruling.is_write and ruling.approval is None)
        attributes = {"kind": action.kind, **action.attributes, **ruling.attributes}
        live.shape = ruling.shape
        # A read goes upstream at once: its record travels with that of its outcome when that comes quickly.
        is_urgent = ruling.is_write or not action.is_bounded
        if not is_urgent:
            live.mark = self._session.awaits()
        if action.mask is not None:
            live.why = ruling.attributes  # the outcome says it again, beside what was masked
        action.keep = ruling.keep
        live.request = self._session.record(
            ACTION_REQUESTED,
            at=live.at,
            is_urgent=is_urgent,
            action_id=live.id,
            statement=action.statement[: self._max_statement],
            fingerprint=ruling.fingerprint,
            parameters=action.parameters,
            operation=ruling.operation,
            objects=ruling.objects,
            verdict=ruling.verdict,
            bytes=action.request_bytes,
            attributes=attributes,
            is_truncated=self.is_cut(action),
            links=self._claims_of(action),
        )
        return live

    def _claims_of(self, action: Action) -> dict[str, str]:
        """What the agent says in a comment at the statement's end; a look mostly tells that there is none."""
        statement = action.statement
        if not statement or statement[-1] not in MAY_END_COMMENT or "*/" not in statement or self.is_cut(action):
            return NO_CLAIMS
        return read_sql_claims(statement)

    def refused(self, live: Live, ruling: Ruling) -> None:
        """An action that will not be executed."""
        live.request = self._session.record(
            ACTION_DECIDED,
            action_id=live.id,
            operation=ruling.operation,
            # A held action that comes to be refused was not approved.
            verdict=ruling.verdict if ruling.approval is None else DENIED_VERDICT,
            attributes=ruling.attributes,
        )

    def completed(self, action: Action, live: Live) -> int:
        """An action's outcome; its ticket."""
        if live.mark:
            self._session.has_met(live.mark)
        rows = self._rows(action, live) if action.row_values or action.columns else None
        if not action.columns:
            self._sources.learn(action.statement)
        digest = getattr(action.digest, "digest", None)
        masked = None if action.report is None else self._take_masked(action, action.report, live)
        if action.keep is not None:
            action.attributes["policy.record"] = write_record(action.keep)
        return self._session.record(
            ACTION_COMPLETED,
            action_id=live.id,
            status=action.status,
            error=action.error[:MAX_TEXT],
            # rows returned, or else affected
            rows=action.rows or int(action.attributes.get("rows_affected", "0")),
            bytes=action.response_bytes,
            duration_us=now_us() - live.at,
            verdict=NO_VERDICT if masked is None else MASKED,
            attributes={"kind": action.kind, **action.attributes},
            payload=orjson.dumps(rows) if rows else b"",
            payload_type="rows" if rows else "",
            payload_bytes=action.response_bytes,
            payload_digest=digest() if digest else b"",
            is_truncated=action.is_truncated,
            masked=masked,
        )

    def _rows(self, action: Action, live: Live) -> dict[str, object]:
        """The payload of a result. `sources`: where columns are of telling ones under another name."""
        # Statements of one shape name the same columns: it is looked into once.
        sources = self._sources.find(live.shape or action.statement, action.columns) if action.row_values else []
        rows: dict[str, object] = {"columns": action.columns, "rows": action.row_values}
        return {**rows, "sources": sources} if sources else rows

    @staticmethod
    def _take_masked(action: Action, report: Report, live: Live) -> list[Masked]:
        """What the outcome says of a masked answer. Its content is what the agent got."""
        action.attributes.update(live.why)
        if report.unread:
            action.attributes["mask.unread"] = report.unread
        return report.take()

    def noted(self, step: Noted) -> None:
        """What the upstream said by itself."""
        self._session.record(DATA_RECEIVED, attributes={"what": step.name, **step.attributes})

    def opaque(self, step: Opaque) -> None:
        """Bytes that were not understood: counted, and told once in a session."""
        ledger = self._session.ledger
        if step.source is AGENT:
            ledger.opaque_agent += step.size
        else:
            ledger.opaque_upstream += step.size
        if not self._session.has_opaque:
            self._session.has_opaque = True
            self._session.record(
                DATA_SENT if step.source is AGENT else DATA_RECEIVED,
                bytes=step.size,
                attributes={"what": "opaque", "reason": step.reason, "from": step.source.value},
            )
