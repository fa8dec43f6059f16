"""PostgreSQL conversation after start-up (postgres_startup.py): a Codec over both halves.

Notes for who drives it:

- `steps()` yields what follows from both sides; `steps(Side.UPSTREAM)` only what follows from the upstream's
  bytes, so that answers go on while an agent's `Requested` waits (for an approval). Never iterate the agent's
  steps twice at once: asking for the step after `Requested` is what allows the action.
- A `Requested` for each Query, Execute and FunctionCall; for a Parse (kind "parse") only when it is not
  executed before the next Sync or Flush. COPY starts as "query" or "execute"; its Action's kind becomes
  copy_in, copy_out or copy_both when the upstream says so, and `is_bounded` False.
- `Completed` comes when the outcome is final: at ReadyForQuery for a Query and for the last Execute before a
  Sync (its commit may still fail), else at the message that ends the Execute. Skipped actions complete with
  status "" and the reason in `error`.
- A NotificationResponse is a Noted, then a Piece with Hold.OUTCOME and no action: it waits for the records of
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

from ingest.codecs.base import Action, Closed, Hold, Opaque, Piece, Side, Step
from ingest.codecs.postgres_answers import Answers
from ingest.codecs.postgres_requests import Requests
from ingest.codecs.postgres_state import LOST, Conversation, DigestFactory, Limits, Names
from ingest.codecs.postgres_wire import ENCODINGS, MalformedError, error_response

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
        self._talk = Conversation(limits, digest_factory, Names(limits), Names(limits), status=status)
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
        return self._requests.backlog if source is Side.AGENT else self._answers.backlog

    def receive(self, source: Side, data: bytes) -> None:
        if self._is_closed or not data:
            return
        if self._is_raw:
            self._raw.append((source, data))
        elif source is Side.AGENT:
            self._requests.receive(data)
        else:
            self._answers.receive(data)

    def receive_eof(self, source: Side) -> None:
        if source is Side.AGENT:
            self._agent_eof = True
        else:
            self._upstream_eof = True

    def refuse(self, action: Action, code: str, message: str) -> None:
        """Only between an action's Requested and the next step; ValueError at any other time."""
        if self._is_closed:
            return
        if self._requests.pending is not action:
            raise ValueError("only the action just requested can be refused")
        self._requests.refuse(code, message)

    def steps(self, source: Side | None = None) -> Iterator[Step]:
        requests, answers = self._requests, self._answers
        while not self._is_closed:
            if self._is_raw:
                yield from self._pass_raw()
                break
            try:
                if source is not Side.AGENT:
                    answers.advance()
                    if answers.out:
                        out, answers.out = answers.out, []
                        yield from out
                if source is not Side.UPSTREAM:
                    requests.advance()
                    if requests.out:
                        out, requests.out = requests.out, []
                        yield from out
                        continue
            except MalformedError as error:
                yield from self._become_opaque(error)
                continue
            if answers.fatal:
                yield self._close(f"the upstream ended the session: {answers.fatal}")
            break
        if (self._agent_eof or self._upstream_eof or self._talk.is_terminated) and not self._is_closed:
            yield from self._end()

    # ends

    def _close(self, reason: str) -> Closed:
        self._is_closed = True
        return Closed(reason)

    def _end(self) -> Iterator[Step]:
        requests, answers = self._requests, self._answers
        if self._upstream_eof:
            answers.complete_all(LOST, "the upstream closed the connection before it answered")
            out, answers.out = answers.out, []
            yield from out
            yield from self._leave_rest(Side.UPSTREAM)
            yield from self._leave_rest(Side.AGENT)
            yield self._close("upstream_closed")
        elif requests.pending is None and not self._talk.expected:
            if self._talk.is_terminated:
                yield self._close("terminated")
            elif self._agent_eof:
                yield from self._leave_rest(Side.AGENT)
                yield self._close("agent_closed")

    def _leave_rest(self, source: Side) -> Iterator[Step]:
        """Bytes of a message that never became whole, and what was held back."""
        half = self._requests if source is Side.AGENT else self._answers
        rest = half.take_rest()
        out, half.out = half.out, []
        yield from out
        if rest:
            yield Opaque(source, len(rest), "the stream ended within a message or before it was executed")

    def _become_opaque(self, error: MalformedError) -> Iterator[Step]:
        """Bytes that are not the protocol: the resource says whether they pass, unread, or end the session."""
        requests, answers = self._requests, self._answers
        yield from self._drain()
        rests = {Side.AGENT: requests.take_rest(), Side.UPSTREAM: answers.take_rest()}
        done = answers.complete_all("08P01", "the session could not be read on")
        yield from self._drain()
        self._raw_reason = str(error)
        self._is_raw = True
        if self._on_opaque == "relay":
            self._raw = [(side, rest) for side, rest in rests.items() if rest]
            return
        for side, rest in rests.items():
            if rest:
                yield Opaque(side, len(rest), self._raw_reason)
        last = done[-1] if done else None
        data = error_response("FATAL", "08P01", "the conversation is not valid PostgreSQL protocol")
        yield Piece(Side.AGENT, data, Hold.NONE if last is None else Hold.OUTCOME, last)
        yield self._close("protocol_violation")

    def _drain(self) -> Iterator[Step]:
        for half in (self._answers, self._requests):
            out, half.out = half.out, []
            yield from out

    def _pass_raw(self) -> Iterator[Step]:
        raw, self._raw = self._raw, []
        for side, data in raw:
            yield Opaque(side, len(data), self._raw_reason)
            yield Piece(Side.UPSTREAM if side is Side.AGENT else Side.AGENT, data)
