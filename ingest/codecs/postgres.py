"""PostgreSQL conversation after start-up (postgres_startup.py): a Codec over both halves.

Notes for who drives it:

- `steps()` yields what follows from both sides; `steps(UPSTREAM)` only what follows from the upstream's
  bytes, so that answers go on while an agent's `Requested` waits (for an approval). Never iterate the agent's
  steps twice at once: asking for the step after `Requested` is what allows the action.
- A `Requested` for each Query, Execute and FunctionCall; for a Parse (kind "parse") only when it is not
  executed before the next Sync or Flush. COPY starts as "query" or "execute"; its Action's kind becomes
  copy_in, copy_out or copy_both when the upstream says so, and `is_bounded` False.
- `Completed` comes when the outcome is final: at ReadyForQuery for a Query and for the last Execute before a
  Sync (its commit may still fail), else at the message that ends the Execute. Skipped actions complete with
  status "" and the reason in `error`.
- A NotificationResponse is a Noted, then a Piece with HOLD_OUTCOME and no action: it waits for the records of
  all steps so far.
- `refuse()`: a Query outside a transaction with nothing in flight is answered at once. In every other case a
  request that fails (a syntax error) goes upstream instead, and the agent gets the refusal in place of that
  error: so the transaction fails on both sides, an implicit one is rolled back, and pipelines stay in order.
  What the agent sends up to the next Sync is dropped and noted as messages_discarded.
- The digest of a query covers its DataRow messages as on the wire (type, length, body), that of a COPY the data
  alone, without message headers, both in order.
- Fatal errors and Terminate end with `Closed` once nothing is in flight.
"""

from collections.abc import Iterator
from typing import Final

from ingest.codecs.base import (
    AGENT,
    HOLD_OUTCOME,
    NO_HOLD,
    UPSTREAM,
    Action,
    Closed,
    Opaque,
    Piece,
    Side,
    Step,
)
from ingest.codecs.postgres_answers import Answers
from ingest.codecs.postgres_limits import SessionLimits
from ingest.codecs.postgres_masking import SessionMasking
from ingest.codecs.postgres_requests import Requests
from ingest.codecs.postgres_state import LOST, Conversation, DigestFactory, Limits
from ingest.codecs.postgres_wire import (
    ENCODINGS,
    MalformedError,
    WithheldError,
    error_response,
    notice_response,
)

DENIED: Final = "42501"
UNREADABLE: Final = ("08P01", "the session could not be read on")

__all__ = ["Limits", "PostgresCodec", "error_response"]


class PostgresCodec:
    """One session. `status` and `parameters` are those of UpstreamReady; `on_opaque` is "refuse" or "relay"."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        on_opaque: str = "refuse",
        digest_factory: DigestFactory | None = None,
        status: int = ord("I"),
        parameters: dict[str, str] | None = None,
    ) -> None:
        limits = limits or Limits()
        self._talk = Conversation(limits, digest_factory, status=status)
        encoding = (parameters or {}).get("client_encoding", "UTF8")
        self._talk.encoding = ENCODINGS.get(encoding, "utf-8")
        self._requests = Requests(self._talk)
        self._answers = Answers(self._talk)
        self._on_opaque = on_opaque
        self._is_raw = False
        self._raw: list[tuple[Side, bytes]] = []
        self._raw_reason = ""
        self._is_closed = False
        self._agent_eof = False
        self._upstream_eof = False

    @property
    def transaction_status(self) -> int:
        """The byte of the last ReadyForQuery: I, T or E."""
        return self._talk.status

    @property
    def in_flight(self) -> int:
        """Answers still expected from the upstream."""
        return len(self._talk.expected)

    def backlog(self, source: Side) -> int:
        """Bytes of this side received and not handed on yet: stop reading from it while this grows."""
        return self._requests.backlog if source is AGENT else self._answers.backlog

    def receive(self, source: Side, data: bytes) -> None:
        if self._is_closed or not data:
            return
        if self._is_raw:
            self._raw.append((source, data))
        elif source is AGENT:
            self._requests.receive(data)
        else:
            self._answers.receive(data)

    def receive_eof(self, source: Side) -> None:
        if source is AGENT:
            self._agent_eof = True
        else:
            self._upstream_eof = True

    def notice(self, message: str) -> bytes:
        """A NoticeResponse; empty while the agent is in the middle of a long message, or of what is no protocol."""
        if self._is_raw or self._is_closed or self._answers.is_within_message:
            return b""
        return notice_response("00000", message)

    def mask(self, action: Action) -> None:
        """Mask and limit the answer. Only between an action's Requested and the next step. Raises Unreadable."""
        talk = self._talk
        limits = talk.masking if isinstance(talk.masking, SessionLimits) else None
        if limits is None and action.row_limit > 0:
            talk.masking = limits = SessionLimits(talk.masking)
        if action.mask is not None:
            if limits is None and talk.masking is None:
                talk.masking = SessionMasking(action.mask)
            elif limits is not None and limits.inner is None:
                limits.inner = SessionMasking(action.mask)
        if talk.masking is not None:
            talk.masking.adopt(action)

    def refuse(self, action: Action, code: str, message: str) -> None:
        """Only between an action's Requested and the next step; ValueError at any other time."""
        if self._is_closed:
            return
        if self._requests.pending is not action:
            raise ValueError("only the action just requested can be refused")
        self._requests.refuse(code, message)

    def steps(self, source: Side | None = None) -> Iterator[Step]:
        """All that follows from the bytes fed so far, one by one."""
        while steps := self.take_steps(source):
            yield from steps

    def take_steps(self, source: Side | None = None) -> list[Step]:
        """What follows next; a decision that is due comes last. Empty: more bytes, or an answer, are needed."""
        while not self._is_closed:
            if self._is_raw:
                return self._pass_raw() or self._end()
            try:
                if source is not AGENT:
                    self._answers.advance()
                    if self._answers.out:
                        return self._answers.take()
                if source is not UPSTREAM:
                    self._requests.advance()
                    if self._requests.out:
                        return self._requests.take()
            except MalformedError as error:
                return self._become_opaque(error)
            if self._answers.fatal:
                return [self._close(f"the upstream ended the session: {self._answers.fatal}")]
            return self._end()
        return []

    # ends

    def _close(self, reason: str) -> Closed:
        self._is_closed = True
        return Closed(reason)

    def _end(self) -> list[Step]:
        """What the end of a half, or Terminate, brings once nothing else follows."""
        requests = self._requests
        if self._upstream_eof:
            self._answers.complete_all(LOST, "the upstream closed the connection before it answered")
            return [
                *self._answers.take(),
                *self._leave_rest(UPSTREAM),
                *self._leave_rest(AGENT),
                self._close("upstream_closed"),
            ]
        if requests.pending is None and not self._talk.expected:
            if self._talk.is_terminated:
                return [self._close("terminated")]
            if self._agent_eof:
                return [*self._leave_rest(AGENT), self._close("agent_closed")]
        return []

    def _leave_rest(self, source: Side) -> list[Step]:
        """Bytes of a message that never became whole, and what was held back."""
        if source is AGENT:
            rest, steps = self._requests.take_rest(), self._requests.take()
        else:
            rest, steps = self._answers.take_rest(), self._answers.take()
        if rest:
            steps.append(Opaque(source, len(rest), "the stream ended within a message or before it was executed"))
        return steps

    def _become_opaque(self, error: MalformedError) -> list[Step]:
        """Bytes that are not the protocol: the resource says whether they pass, unread, or end the session."""
        requests, answers = self._requests, self._answers
        steps = self._drain()
        rests = {AGENT: requests.take_rest(), UPSTREAM: answers.take_rest()}
        is_withheld = isinstance(error, WithheldError)
        status, reason = (DENIED, str(error)) if is_withheld else UNREADABLE
        done = answers.complete_all(status, reason)
        steps += self._drain()
        self._raw_reason = str(error)
        self._is_raw = True
        if self._on_opaque == "relay" and self._talk.masking is None:
            self._raw = [(side, rest) for side, rest in rests.items() if rest]
            return steps or self._pass_raw()
        for side, rest in rests.items():
            if rest:
                steps.append(Opaque(side, len(rest), self._raw_reason))
        last = done[-1] if done else None
        if is_withheld:
            data = error_response("FATAL", DENIED, f"Custody: the answer cannot be given as policy demands: {error}")
        else:
            data = error_response("FATAL", "08P01", "the conversation is not valid PostgreSQL protocol")
        steps.append(Piece(AGENT, data, NO_HOLD if last is None else HOLD_OUTCOME, last))
        steps.append(self._close("answer_withheld" if is_withheld else "protocol_violation"))
        return steps

    def _drain(self) -> list[Step]:
        return self._answers.take() + self._requests.take()

    def _pass_raw(self) -> list[Step]:
        raw, self._raw = self._raw, []
        steps: list[Step] = []
        for side, data in raw:
            steps.append(Opaque(side, len(data), self._raw_reason))
            steps.append(Piece(UPSTREAM if side is AGENT else AGENT, data))
        return steps
