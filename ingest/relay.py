"""Moves bytes between an agent and an upstream as a codec understands them, records, asks policy, and gates.

The codec says what the bytes mean; the session records it; the outboxes hold each piece until its record is durable.
The relay is the only one that acts. It knows no protocol.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from ingest.codecs.base import (
    Action,
    Closed,
    Codec,
    Completed,
    Hold,
    Noted,
    Opaque,
    Piece,
    Progressed,
    Requested,
    Side,
    Step,
)
from ingest.gate import Gate, Ruling
from ingest.leg import Leg
from ingest.outbox import HIGH_BYTES, LOW_BYTES, Outbox
from ingest.session import MAX_TEXT, Session
from ingest.stream import Stream, StreamRecorder
from schemas.errors import AuditUnavailable
from schemas.events import EventKind
from schemas.runtime import now_us

log = logging.getLogger(__name__)

AUDIT_LOST: Final = "58030"
OUTCOME_UNKNOWN: Final = "08007"
DENIED: Final = "42501"

TUNNEL: Final = "tunnel"
OTHER: Final = {Side.AGENT: Side.UPSTREAM, Side.UPSTREAM: Side.AGENT}


@dataclass(slots=True)
class _Live:
    """What the relay knows of an action under way."""

    id: str
    at: int
    is_write: bool
    request: int  # ticket of its request
    outcome: int = 0  # ticket of its outcome
    streams: dict[Side, Stream] = field(default_factory=dict)


class Relay:
    """One conversation. `fatal(code, message)` makes the protocol's own last words to the agent."""

    def __init__(
        self, session: Session, gate: Gate, codec: Codec, agent: Leg, upstream: Leg, fatal: Callable[[str, str], bytes]
    ) -> None:
        self.session = session
        self._gate = gate
        self._codec = codec
        self._legs = {Side.AGENT: agent, Side.UPSTREAM: upstream}
        self._agent = agent
        self._upstream = upstream
        self._fatal = fatal
        self._to_agent = Outbox(session, self._write_agent, self._on_release)
        self._to_upstream = Outbox(session, self._write_upstream, self._on_release)
        self._is_whole = session.resource.record == "complete"
        self._limit = session.resource.limits
        self._streams = StreamRecorder(session, lambda: self._withhold("Custody: the audit log takes no more events"))
        self._ended: set[Side] = set()
        self._is_throttled = False
        self._open_writes = 0
        self._write_outcome = 0  # ticket of the last write's outcome
        self._reason = ""
        self._loop = asyncio.get_running_loop()
        self.last_activity = self._loop.time()
        self.closed = asyncio.Event()
        self._handlers: dict[type, Callable[[Any], None]] = {
            Piece: self._pass,
            Requested: self._request,
            Completed: self._complete,
            Progressed: self._progress,
            Noted: self._note,
            Opaque: self._mark_opaque,
            Closed: self._end_by_protocol,
        }

    def start(self, unread_agent: bytes = b"", unread_upstream: bytes = b"") -> None:
        """Take the legs over."""
        self.session.watch_stalls(self._check_audit)
        self._upstream.attach(self, unread_upstream)
        self._agent.attach(self, unread_agent)

    def stop(self, reason: str, code: str, message: str) -> None:
        """End the conversation from our side, with the protocol's last words."""
        if not self._reason:
            self._to_agent.discard()
            self._agent.write(self._fatal(code, message))
            self._finish(reason)

    # -- legs

    def leg_received(self, leg: Leg, data: bytes) -> None:
        ledger = self.session.ledger
        self.last_activity = self._loop.time()
        if leg is self._agent:
            ledger.from_agent += len(data)
            side = Side.AGENT
        else:
            ledger.from_upstream += len(data)
            side = Side.UPSTREAM
        if self._reason:
            return
        self._codec.receive(side, data)
        self._act()
        # Short conversations never come near the limits: look only when one side has sent much, or waits.
        if self._is_throttled or len(data) >= LOW_BYTES // 8 or self._to_agent.held_bytes or self._codec.backlog(side):
            self._throttle()

    def leg_ended(self, leg: Leg) -> None:
        side = Side.AGENT if leg is self._agent else Side.UPSTREAM
        if self._reason or side in self._ended:
            return
        self._ended.add(side)
        self._codec.receive_eof(side)
        self._act()
        self._propagate_eof()

    def leg_lost(self, leg: Leg) -> None:
        if not self._reason:
            self.leg_ended(leg)
        if not self._reason:
            if leg is self._agent:
                self._finish("agent_disconnected")
            elif self._to_agent.is_empty:
                self._finish("upstream_closed")
        self._settle()

    def leg_congested(self, leg: Leg) -> None:
        self._throttle()

    def leg_drained(self, leg: Leg) -> None:
        self._throttle()

    def _write_agent(self, data: bytes | memoryview) -> None:
        self.session.ledger.to_agent += len(data)
        self._agent.write(data)

    def _write_upstream(self, data: bytes | memoryview) -> None:
        self.session.ledger.to_upstream += len(data)
        self._upstream.write(data)

    def _propagate_eof(self) -> None:
        """Hand a half-close on, behind everything that is still held."""
        if Side.AGENT in self._ended and self._to_upstream.is_empty:
            self._upstream.write_eof()
        if Side.UPSTREAM in self._ended and self._to_agent.is_empty and not self._reason:
            self._finish("agent_closed" if Side.AGENT in self._ended else "upstream_closed")

    def _throttle(self) -> None:
        """Read no faster than the other side takes, or than its records become durable."""
        self._is_throttled = False
        for side, source, outbox, target in (
            (Side.AGENT, self._agent, self._to_upstream, self._upstream),
            (Side.UPSTREAM, self._upstream, self._to_agent, self._agent),
        ):
            waiting = outbox.held_bytes + self._codec.backlog(side)
            if target.is_congested or waiting > HIGH_BYTES:
                source.pause()
                self._is_throttled = True
            elif waiting < LOW_BYTES:
                source.resume()
            else:
                self._is_throttled = True  # as it was: paused, perhaps

    # -- steps

    def _act(self) -> None:
        step: Step | None = None
        try:
            for step in self._codec.steps():
                self._handlers[type(step)](step)
                if self._reason:
                    return
        except AuditUnavailable:
            if isinstance(step, Requested):
                self.stop("audit_unavailable", AUDIT_LOST, "Custody: the audit log takes no more events; not executed")
            else:
                self._withhold("Custody: the audit log takes no more events")

    def _request(self, step: Requested) -> None:
        action = step.action
        if self.session.is_audit_lost:
            # Nothing of it was forwarded; the refusal is counted and recorded when the log is back.
            self.session.refused_count += 1
            self._codec.refuse(action, AUDIT_LOST, "Custody: the audit log does not answer; not executed")
            return
        ruling = self._gate.rule(self.session, action.statement, is_whole=not action.is_truncated)
        live = self._record_request(action, ruling)
        action.token = live
        if ruling.is_refused:
            self._record_refusal(live, ruling)
            self._codec.refuse(action, DENIED, f"Custody: refused by policy: {ruling.reason or ruling.verdict}")
        elif not action.is_bounded:
            self._open_streams(action, live)

    def _record_request(self, action: Action, ruling: Ruling) -> _Live:
        live = _Live(self.session.next_action_id(), now_us(), ruling.is_write, 0)
        self._open_writes += ruling.is_write
        attributes = {"kind": action.kind, **action.attributes, **ruling.attributes}
        live.request = self.session.record(
            EventKind.ACTION_REQUESTED,
            at=live.at,
            # A read goes upstream at once: its record travels with that of its outcome when that comes quickly.
            is_urgent=ruling.is_write or not action.is_bounded,
            action_id=live.id,
            statement=action.statement[: self._limit.max_statement_bytes],
            fingerprint=ruling.fingerprint,
            parameters=action.parameters,
            operation=ruling.operation,
            objects=ruling.objects,
            verdict=ruling.verdict,
            bytes=action.request_bytes,
            attributes=attributes,
            is_truncated=action.is_truncated or len(action.statement) > self._limit.max_statement_bytes,
        )
        return live

    def _record_refusal(self, live: _Live, ruling: Ruling) -> None:
        live.request = self.session.record(
            EventKind.ACTION_DECIDED,
            action_id=live.id,
            operation=ruling.operation,
            verdict=ruling.verdict,
            attributes=ruling.attributes,
        )

    def _complete(self, step: Completed) -> None:
        action = step.action
        live = action.token
        if not isinstance(live, _Live):
            return
        for stream in live.streams.values():
            self._streams.record(stream)
        self._gate.completed(self.session, action.rows)
        rows = {"columns": action.columns, "rows": action.row_values} if action.row_values or action.columns else None
        digest = getattr(action.digest, "digest", None)
        live.outcome = self.session.record(
            EventKind.ACTION_COMPLETED,
            action_id=live.id,
            status=action.status,
            error=action.error[:MAX_TEXT],
            # rows returned, or else affected
            rows=action.rows or int(action.attributes.get("rows_affected", "0")),
            bytes=action.response_bytes,
            duration_us=now_us() - live.at,
            attributes={"kind": action.kind, **action.attributes},
            payload=orjson.dumps(rows) if rows else b"",
            payload_type="rows" if rows else "",
            payload_bytes=action.response_bytes,
            payload_digest=digest() if digest else b"",
            is_truncated=action.is_truncated,
        )
        if live.is_write:
            self._open_writes -= 1
            self._write_outcome = live.outcome

    def _pass(self, piece: Piece) -> None:
        outbox = self._to_agent if piece.to is Side.AGENT else self._to_upstream
        action = piece.action
        if piece.hold is Hold.NONE:
            outbox.push(piece.data, 0)
        elif action is None:  # not of one action, e.g. a notification: the record of all so far
            outbox.push(piece.data, self.session.last_ticket)
        elif not isinstance(action.token, _Live):  # refused without a record
            outbox.push(piece.data, 0)
        elif piece.to is Side.AGENT:
            outbox.push(piece.data, self._ticket_to_agent(piece.hold, action.token))
        else:
            outbox.push(piece.data, self._ticket_to_upstream(piece.hold, action.token))

    def _ticket_to_agent(self, hold: Hold, live: _Live) -> int:
        if hold is Hold.OUTCOME:
            return live.outcome if self._is_whole and live.outcome else live.request
        stream = live.streams.get(Side.UPSTREAM)
        return stream.floor if stream else live.request

    def _ticket_to_upstream(self, hold: Hold, live: _Live) -> int:
        stream = live.streams.get(Side.AGENT)
        if stream is not None:
            if hold is Hold.OUTCOME:
                self._streams.record(stream)
                return stream.latest
            return stream.floor
        return live.request if live.is_write else 0

    def _note(self, step: Noted) -> None:
        self.session.record(EventKind.DATA_RECEIVED, attributes={"what": step.name, **step.attributes})

    def _mark_opaque(self, step: Opaque) -> None:
        ledger = self.session.ledger
        if step.source is Side.AGENT:
            ledger.opaque_agent += step.size
        else:
            ledger.opaque_upstream += step.size
        if not self.session.has_opaque:
            self.session.has_opaque = True
            self.session.record(
                EventKind.DATA_SENT if step.source is Side.AGENT else EventKind.DATA_RECEIVED,
                bytes=step.size,
                attributes={"what": "opaque", "reason": step.reason, "from": step.source.value},
            )

    def _end_by_protocol(self, step: Closed) -> None:
        self._finish(step.reason)

    # -- streams

    def _progress(self, step: Progressed) -> None:
        live = step.action.token
        if not isinstance(live, _Live):
            return
        if not live.streams:  # it turned out to be open-ended only now, e.g. a COPY among the answers of a Query
            self._open_streams(step.action, live)
        if step.action.kind == TUNNEL:
            self._streams.turn(live.streams[OTHER[step.source]], live.streams[step.source])
        self._streams.take(live.streams[step.source], step.data)

    def _open_streams(self, action: Action, live: _Live) -> None:
        is_tunnel = action.kind == TUNNEL
        live.streams = {
            side: Stream(
                live.id,
                side,
                live.request if live.is_write or side is Side.UPSTREAM else 0,
                live.request,
                self._limit.max_payload_bytes,
                digest=self.session.new_digest() if is_tunnel else None,  # other actions bring their own
            )
            for side in Side
        }

    # -- the audit log is away

    def _check_audit(self) -> None:
        """Called when the log stalled: what waits for it is refused now, as clearly as the protocol can say it."""
        if self._reason or not self.session.is_audit_lost:
            return
        if not self._to_upstream.is_empty:
            self._to_upstream.discard()
            self.stop("audit_unavailable", AUDIT_LOST, "Custody: the audit log does not answer; not executed")
        elif not self._to_agent.is_empty:
            self._withhold("Custody: the audit log does not answer")

    def _withhold(self, what: str) -> None:
        """End the session without the answers it waits for; after a write, say that it may have been done."""
        if self._open_writes or not self.session.is_released(self._write_outcome):
            self.stop("audit_unavailable", OUTCOME_UNKNOWN, f"{what}; the outcome is not recorded")
        else:
            self.stop("audit_unavailable", AUDIT_LOST, f"{what}; the answer is withheld")

    # -- the end

    def _on_release(self) -> None:
        if self._ended and not self._reason:
            self._propagate_eof()
        if self._is_throttled:
            self._throttle()
        if self._reason:
            self._settle()

    def _finish(self, reason: str) -> None:
        """No more steps are taken; what is held may still go, then both legs close."""
        if self._reason:
            return
        self._reason = reason
        self._settle()

    def _settle(self) -> None:
        if not self._reason or self.session.is_closed:
            return
        is_gone = self._agent.is_lost
        if not is_gone and not (self._to_agent.is_empty and self._to_upstream.is_empty):
            if not self.session.is_audit_lost:
                return
        self._to_agent.discard()
        self._to_upstream.discard()
        self.session.unwatch_stalls(self._check_audit)
        self._close_session()
        self._agent.close()
        self._upstream.close()
        self.closed.set()

    def _close_session(self) -> None:
        refused = {"refused_without_record": str(self.session.refused_count)} if self.session.refused_count else {}
        try:
            self._streams.close()
            self.session.close(self._reason, **refused)
        except AuditUnavailable:
            log.error("the end of session %s could not be recorded", self.session.context.session_id)
