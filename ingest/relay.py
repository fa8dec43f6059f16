"""Moves bytes between an agent and an upstream as a codec understands them, records, asks policy, and gates.

The codec says what the bytes mean; the session records it; the outboxes hold each piece until its record is durable.
The relay is the only one that acts. It knows no protocol.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from ingest.action_records import ActionRecords, Live
from ingest.approvals import Approvals, Outcome
from ingest.codecs.base import (
    AGENT,
    HOLD_OUTCOME,
    NO_HOLD,
    UPSTREAM,
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
from ingest.gate import Gate, Ruling, SessionGate
from ingest.held import DENIED, HeldActions
from ingest.leg import Leg
from ingest.outbox import HIGH_BYTES, LOW_BYTES, Outbox
from ingest.session import Session
from ingest.stream import Stream, StreamRecorder
from masking.inline.model import Unreadable
from schemas.errors import AuditUnavailable

log = logging.getLogger(__name__)

LINGER_S: Final = 0.5
LINGER_BYTES: Final = 16 << 20
"""How long, and for how much of what an agent still sends, its leg stays open after our last words."""

AUDIT_LOST: Final = "58030"
OUTCOME_UNKNOWN: Final = "08007"
CANCELED: Final = "57014"

TUNNEL: Final = "tunnel"
OTHER: Final = {AGENT: UPSTREAM, UPSTREAM: AGENT}


class Relay:
    """One conversation. `fatal(code, message)` makes the protocol's own last words to the agent. Without `approvals`
    no action can wait for one."""

    def __init__(
        self,
        session: Session,
        gate: Gate,
        codec: Codec,
        agent: Leg,
        upstream: Leg,
        fatal: Callable[[str, str], bytes],
        approvals: Approvals | None = None,
    ) -> None:
        self.session = session
        self._gate = SessionGate(gate, session)
        self._codec = codec
        self._legs = {AGENT: agent, UPSTREAM: upstream}
        self._agent = agent
        self._upstream = upstream
        self._fatal = fatal
        self._to_agent = Outbox(session, self._write_agent, self._on_release)
        self._to_upstream = Outbox(session, self._write_upstream, self._on_release)
        self._is_whole = session.resource.record == "complete"
        self._limit = session.resource.limits
        self._records = ActionRecords(session)
        self._streams = StreamRecorder(session, lambda: self._withhold("Custody: the audit log takes no more events"))
        self._ended: set[Side] = set()
        self._is_throttled = False
        self._open_writes = 0
        self._write_outcome = 0  # ticket of the last write's outcome
        self._reason = ""
        self._told = ""  # the last words of a conversation that we end
        self._has_masks = False
        self._held = (
            None
            if approvals is None
            else HeldActions(session, approvals, self._gate, self._records, codec, self._decided)
        )
        self._source: Side | None = None  # UPSTREAM while an action of the agent waits for a person
        self._has_moved = True  # since `idle_s` was asked for
        self._idle_since = 0.0
        self.closed = asyncio.Event()

    def start(self, unread_agent: bytes = b"", unread_upstream: bytes = b"") -> None:
        """Take the legs over."""
        self.session.watch_stalls(self._check_audit)
        self._upstream.attach(self, unread_upstream)
        self._agent.attach(self, unread_agent)

    @property
    def reason(self) -> str:
        """Why the conversation is over; empty while it is not."""
        return self._reason

    def idle_s(self, now: float) -> float:
        """How long nothing has come, in seconds from the last call that found something; `now` is on any one clock.

        The clock is read by who asks, now and then, and not for each piece of a conversation.
        """
        if self._has_moved:
            self._has_moved = False
            self._idle_since = now
        return now - self._idle_since

    def stop(self, reason: str, code: str, message: str) -> None:
        """End the conversation from our side, with the protocol's last words."""
        if not self._reason:
            self._told = message
            self._to_agent.discard()
            self._agent.write(self._fatal(code, message))
            self._finish(reason)

    @property
    def is_waiting(self) -> bool:
        """Whether an action waits for a person."""
        return self._held is not None and self._held.is_waiting

    def cancel(self) -> bool:
        """The agent cancels what it asked for. Whether that waited for a person; else the upstream has it."""
        if self._held is None or not self._held.is_waiting:
            return False
        self._held.withdraw("canceled by the agent", CANCELED)
        return True

    # -- legs

    def leg_received(self, leg: Leg, data: bytes) -> None:
        ledger = self.session.ledger
        self._has_moved = True
        if leg is self._agent:
            ledger.from_agent += len(data)
            side = AGENT
        else:
            ledger.from_upstream += len(data)
            side = UPSTREAM
        if self._reason:
            return
        self._codec.receive(side, data)
        self._act()
        # Short conversations never come near the limits: look only when one side has sent much, or waits.
        if self._is_throttled or len(data) >= LOW_BYTES // 8 or self._to_agent.held_bytes or self._codec.backlog(side):
            self._throttle()

    def leg_ended(self, leg: Leg) -> None:
        side = AGENT if leg is self._agent else UPSTREAM
        if self._reason or side in self._ended:
            return
        self._ended.add(side)
        if side is AGENT and self._held is not None and self._held.is_waiting:
            self._held.withdraw("the agent broke off", DENIED)
            if self._reason:
                return
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
        if AGENT in self._ended and self._to_upstream.is_empty:
            self._upstream.write_eof()
        if UPSTREAM in self._ended and self._to_agent.is_empty and not self._reason:
            self._finish("agent_closed" if AGENT in self._ended else "upstream_closed")

    def _throttle(self) -> None:
        """Read no faster than the other side takes, or than its records become durable."""
        self._is_throttled = False
        for side, source, outbox, target in (
            (AGENT, self._agent, self._to_upstream, self._upstream),
            (UPSTREAM, self._upstream, self._to_agent, self._agent),
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
        """Do all that follows from the bytes so far; what may leave then leaves in one write for each side."""
        is_request = False
        try:
            while steps := self._codec.take_steps(self._source):
                for step in steps:
                    is_request = isinstance(step, Requested)
                    self._take(step)
                    if self._reason:
                        return
        except AuditUnavailable:
            if is_request:
                self.stop("audit_unavailable", AUDIT_LOST, "Custody: the audit log takes no more events; not executed")
            else:
                self._withhold("Custody: the audit log takes no more events")
        finally:
            self._to_upstream.flush()
            self._to_agent.flush()

    def _take(self, step: Step) -> None:
        if isinstance(step, Piece):
            self._pass(step)
        elif isinstance(step, Requested):
            self._request(step)
        elif isinstance(step, Completed):
            self._complete(step)
        elif isinstance(step, Progressed):
            self._progress(step)
        elif isinstance(step, Noted):
            self._records.noted(step)
        elif isinstance(step, Opaque):
            self._records.opaque(step)
        elif isinstance(step, Closed):
            self._finish(step.reason)

    def _request(self, step: Requested) -> None:
        action = step.action
        if self.session.is_audit_lost:
            # Nothing of it was forwarded; the refusal is counted and recorded when the log is back.
            self.session.refused_count += 1
            self._codec.refuse(action, AUDIT_LOST, "Custody: the audit log does not answer; not executed")
            return
        ruling = self._gate.rule(action.statement, not action.is_truncated)
        if ruling.mask is not None or ruling.row_limit > 0 or self._has_masks:
            ruling = self._mask(action, ruling)
        live = self._records.requested(action, ruling)
        self._open_writes += live.is_write
        action.token = live
        if ruling.is_refused:
            if ruling.approval is not None and self._held is not None:
                self._hold(self._held, action, live, ruling)
            else:
                self._records.refused(live, ruling)
                self._codec.refuse(action, DENIED, f"Custody: refused by policy: {ruling.reason or ruling.verdict}")
        elif not action.is_bounded:
            self._open_streams(action, live)

    # -- actions that wait for a person

    def _hold(self, held: HeldActions, action: Action, live: Live, ruling: Ruling) -> None:
        """Have people asked; until they have decided, only what the upstream says goes on."""
        asked = held.ask(action, live, ruling)
        if isinstance(asked, Outcome):
            self._release(held, action, live, ruling, asked, DENIED)
            return
        self._source = UPSTREAM
        notice = self._codec.notice(asked.notice)
        if notice:
            self._to_agent.push(notice, asked.ticket)

    def _decided(self, action: Action, live: Live, ruling: Ruling, outcome: Outcome, code: str) -> None:
        """The wait is over: the agent's bytes are read on."""
        self._source = None
        self._has_moved = True
        try:
            if self._held is not None:
                self._release(self._held, action, live, ruling, outcome, code)
        except AuditUnavailable:
            self.stop("audit_unavailable", AUDIT_LOST, "Custody: the audit log takes no more events; not executed")
            return
        self._act()
        if self._is_throttled and not self._reason:
            self._throttle()

    def _release(
        self, held: HeldActions, action: Action, live: Live, ruling: Ruling, outcome: Outcome, code: str
    ) -> None:
        """Let a held action go, or refuse it."""
        if held.settle(action, live, ruling, outcome, code, has_masks=self._has_masks):
            self._open_writes += 1
            if not action.is_bounded:
                self._open_streams(action, live)

    def _mask(self, action: Action, ruling: Ruling) -> Ruling:
        """Have the answer masked and limited; what cannot be is refused instead."""
        self._has_masks = True
        action.row_limit = ruling.row_limit
        if ruling.mask is not None:
            action.mask, action.report = ruling.mask, ruling.mask.new_report()
        try:
            if not ruling.is_refused:
                self._codec.mask(action)
        except Unreadable as fault:
            return ruling.without_mask(str(fault))
        return ruling

    def _complete(self, step: Completed) -> None:
        action = step.action
        live = action.token
        if not isinstance(live, Live):
            return
        if live.streams is not None:
            for stream in live.streams.values():
                self._streams.record(stream)
        self._gate.completed(action.rows)
        live.outcome = self._records.completed(action, live)
        if live.is_write:
            self._open_writes -= 1
            self._write_outcome = live.outcome
        if action.withheld > 0:
            self._tell_withheld(action, live)

    def _tell_withheld(self, action: Action, live: Live) -> None:
        """Say that rows are missing, before the end mark."""
        notice = self._codec.notice(f"Custody: policy limits this answer: {action.withheld} rows more were withheld")
        if notice:
            self._to_agent.push(notice, self._ticket_to_agent(HOLD_OUTCOME, live))

    def _pass(self, piece: Piece) -> None:
        outbox = self._to_agent if piece.to is AGENT else self._to_upstream
        action = piece.action
        if piece.hold is NO_HOLD:
            outbox.push(piece.data, 0)
        elif action is None:  # not of one action, e.g. a notification: the record of all so far
            outbox.push(piece.data, self.session.last_ticket)
        elif not isinstance(action.token, Live):  # refused without a record
            outbox.push(piece.data, 0)
        elif piece.to is AGENT:
            outbox.push(piece.data, self._ticket_to_agent(piece.hold, action.token))
        else:
            outbox.push(piece.data, self._ticket_to_upstream(piece.hold, action.token))

    def _ticket_to_agent(self, hold: Hold, live: Live) -> int:
        if hold is HOLD_OUTCOME:
            return live.outcome if self._is_whole and live.outcome else live.request
        stream = live.streams[UPSTREAM] if live.streams is not None else None
        return stream.floor if stream else live.request

    def _ticket_to_upstream(self, hold: Hold, live: Live) -> int:
        stream = live.streams[AGENT] if live.streams is not None else None
        if stream is not None:
            if hold is HOLD_OUTCOME:
                self._streams.record(stream)
                return stream.latest
            return stream.floor
        return live.request if live.is_write else 0

    # -- streams

    def _progress(self, step: Progressed) -> None:
        live = step.action.token
        if not isinstance(live, Live):
            return
        # It may turn out to be open-ended only now, e.g. a COPY among the answers of a Query.
        streams = live.streams if live.streams is not None else self._open_streams(step.action, live)
        if step.action.kind == TUNNEL:
            self._streams.turn(streams[OTHER[step.source]], streams[step.source])
        self._streams.take(streams[step.source], step.data)

    def _open_streams(self, action: Action, live: Live) -> dict[Side, Stream]:
        is_tunnel = action.kind == TUNNEL
        asked = answered = self._limit.max_payload_bytes
        if action.keep is not None and action.keep.bytes >= 0:
            answered = action.keep.bytes
        live.streams = {
            side: Stream(
                live.id,
                side,
                live.request if live.is_write or side is UPSTREAM else 0,
                live.request,
                answered if side is UPSTREAM else asked,
                digest=self.session.new_digest() if is_tunnel else None,  # other actions bring their own
            )
            for side in (AGENT, UPSTREAM)
        }
        return live.streams

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
        if self._held is not None:
            self._held.end(reason)
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
        if self._told:
            self._agent.linger(LINGER_S, LINGER_BYTES)
        else:
            self._agent.close()
        self._upstream.close()
        self.closed.set()

    def _close_session(self) -> None:
        facts = {"refused_without_record": str(self.session.refused_count)} if self.session.refused_count else {}
        if self._told:
            facts["told"] = self._told
        try:
            self._streams.close()
            self.session.close(self._reason, **facts)
        except AuditUnavailable:
            log.error("the end of session %s could not be recorded", self.session.context.session_id)
