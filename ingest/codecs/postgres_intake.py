"""The agent's half of the PostgreSQL conversation: bytes, segments, and what a decision does to them.

Messages up to the one that executes (Execute, Query, FunctionCall, Sync, Flush) form a *segment*, held back until
that one is here: so Parse, Bind, Describe and Execute need one record and one write, and a refused action's Parse
never reaches the upstream. A piece holds one action and the Sync or Flush behind it: the next may need another record.
"""

from collections.abc import Callable
from struct import error as StructError
from typing import Any, Final

from librt.strings import read_i32_be

from ingest.codecs.base import (
    AGENT,
    HOLD_OUTCOME,
    HOLD_REQUEST,
    NO_HOLD,
    UPSTREAM,
    Action,
    Completed,
    Hold,
    Noted,
    Piece,
    Progressed,
    Requested,
    Step,
)
from ingest.codecs.postgres_state import (
    NOT_EXECUTED,
    B,
    C,
    Conversation,
    D,
    E,
    F,
    Flight,
    Named,
    P,
    Q,
    S,
    X,
    add_digest,
    fail_expected,
)
from ingest.codecs.postgres_wire import (
    AGENT_LENGTHS,
    FAILING_PARSE,
    FAILING_QUERY,
    MalformedError,
    error_response,
    ready_for_query,
)

MAX_PARTS: Final = 4096
_OWNED: Final = (P, B, C, D)
Handlers = dict[int, Callable[[Any, int, int], bool]]
_IDLE_STATES: Final = (ord("I"), ord("E"))


class Intake:
    """Bytes of the agent in, steps out (`out`), answers to expect into the conversation.

    `handlers` is the table of messages: type -> method(self, start, end), which says whether to pause.
    """

    def __init__(self, talk: Conversation, handlers: Handlers) -> None:
        self._handlers = handlers
        self.out: list[Step] = []
        self._talk = talk
        self._limits = talk.limits
        # `_buffer[_run:_segment]` is allowed and not yet handed on, `_buffer[_segment:_pos]` is the open segment (with
        # `_held` before it when it began in earlier bytes), `_parts` are bytes not yet looked at.
        self._buffer = b""
        self._run = self._segment = self._pos = self._end = 0
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._parts: list[bytes] = []
        self._part_bytes = 0
        self._needed = 0
        self._usual = min(9_999, talk.limits.max_message_bytes - 1)  # longer ones need a closer look
        self._flights: list[Flight] = []  # of the open segment
        self._unrecorded: list[Flight] = []  # Parses whose text no action has carried yet
        self._run_action: Action | None = None
        self._segment_action: Action | None = None
        self._pending: Flight | None = None
        self._pending_end = 0
        self._refusal: tuple[str, str] | None = None
        self._is_flooded = False
        self._is_long = False  # the open segment ends with the head of a long Parse or Bind
        self._cut = 0  # bytes of the current message beyond those looked at
        self._stream: tuple[Hold, Action | None, bool] | None = None  # the rest of a long message: None drops it
        self._stream_left = 0
        self._group = 0
        self._is_discarding = False  # from a refusal to the next Sync
        self._discarded = [0, 0, 0]  # messages, bytes, Executes

    @property
    def backlog(self) -> int:
        """Bytes received and not yet handed on."""
        return self._end - self._run + self._held_bytes + self._part_bytes

    @property
    def pending(self) -> Action | None:
        return self._pending.action if self._pending is not None else None

    def take(self) -> list[Step]:
        """The steps so far, which are no longer in `out`."""
        out, self.out = self.out, []
        return out

    def receive(self, data: bytes) -> None:
        if self._part_bytes or self._pos < self._end:
            self._parts.append(data)
            self._part_bytes += len(data)
            if self._part_bytes > self._limits.max_backlog_bytes:
                self._is_flooded = True
            if len(self._parts) > MAX_PARTS:  # many tiny reads: a list of them costs more than their bytes
                self._parts = [b"".join(self._parts)]
        else:
            self._buffer = data
            self._run = self._segment = self._pos = 0
            self._end = len(data)

    def refuse(self, code: str, message: str) -> None:
        self._refusal = (code, message)

    def advance(self) -> None:
        """Go on until a decision is due or the bytes run out. MalformedError: `take_rest` has what is left."""
        if self._pending is None and self._pos == self._end and not self._part_bytes:
            return
        try:
            if self._is_flooded:
                raise MalformedError("more bytes wait for an answer than the limit")
            if self._pending is not None:
                self._settle()
                if self.pending is not None:
                    return
            while not self._scan():
                self._put_away()
                if not self._load():
                    return
        except MalformedError:
            raise
        except (StructError, IndexError, ValueError) as error:
            raise MalformedError("malformed message") from error

    def take_rest(self) -> bytes:
        """Hand on what was allowed; give back every byte that was not, the open segment included."""
        self._flush()
        rest = b"".join([*self._held, self._buffer[self._run : self._end], *self._parts])
        self._held.clear()
        self._parts.clear()
        self._held_bytes = self._part_bytes = 0
        self._run = self._segment = self._pos = self._end = 0
        pending, self._pending = self._pending, None
        if pending is not None and pending.kind != P:  # a Parse is in the segment already
            self._flights.append(pending)
        self._drop_segment()
        return rest

    def _drop_segment(self) -> None:
        """The open segment will not go upstream."""
        for flight in self._flights:
            fail_expected(self._talk, flight)
            if flight.action is not None:
                flight.action.error = NOT_EXECUTED
                self.out.append(Completed(flight.action))
        self._flights.clear()
        self._unrecorded.clear()
        self._segment_action = None
        self._held.clear()
        self._held_bytes = 0

    def _load(self) -> bool:
        if not self._part_bytes or self._part_bytes < self._needed:
            return False
        self._buffer = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._part_bytes = self._needed = 0
        self._run = self._segment = self._pos = 0
        self._end = len(self._buffer)
        return True

    def _scan(self) -> bool:
        """Whether to pause: a decision is due, or an answer must come first."""
        buffer, end = self._buffer, self._end
        handlers, usual = self._handlers, self._usual
        while True:
            pos = self._pos
            if self._stream_left:
                if not self._pass_stream():
                    return False
                continue
            if end - pos < 5:
                self._needed = 5
                return False
            kind = buffer[pos]
            length = read_i32_be(buffer, pos + 1)
            after = pos + 1 + length
            handle = handlers.get(kind)
            if handle is None or length < 4:
                raise MalformedError(f"no message of type 0x{kind:02x} or length {length} is expected from a client")
            if after > end or length > usual:
                if length > AGENT_LENGTHS[kind]:
                    raise MalformedError("a message is too long")
                limit = self._limits.max_message_bytes
                if length >= limit:
                    if end - pos < limit:
                        self._needed = limit
                        return False
                    self._cut = after - pos - limit
                    after = pos + limit
                elif after > end:
                    self._needed = length + 1
                    return False
            if self._is_discarding and kind != S and kind != X:
                self._discard(kind, after)
                continue
            if handle(self, pos, after):
                return True

    def _put_away(self) -> None:
        """The bytes ran out: hand on what is allowed, keep the open segment and the start of a message."""
        self._flush()
        if self._segment < self._pos:
            self._held.append(self._buffer[self._segment : self._pos])
            self._held_bytes += self._pos - self._segment
        if self._pos < self._end:
            tail = self._buffer[self._pos : self._end]
            self._parts.insert(0, tail)
            self._part_bytes += len(tail)
        self._buffer = b""
        self._run = self._segment = self._pos = self._end = 0

    def _flush(self) -> None:
        if self._run < self._segment:
            buffer = self._buffer
            data: bytes | memoryview
            if self._run == 0 and self._segment == len(buffer):
                data = buffer
            else:
                data = memoryview(buffer)[self._run : self._segment]
            action = self._run_action
            hold = NO_HOLD if action is None else HOLD_REQUEST
            self.out.append(Piece(UPSTREAM, data, hold, action))
            self._run_action = None
        self._run = self._segment

    def _commit(self, after: int) -> None:
        """The segment up to `after` may go upstream."""
        if self._held:
            held = b"".join(self._held)
            self._held.clear()
            self._held_bytes = 0
            action = self._run_action
            self.out.append(Piece(UPSTREAM, held, NO_HOLD if action is None else HOLD_REQUEST, action))
        if self._flights:
            action = self._segment_action
            if action is not None:
                self._segment_action = None
                for flight in self._flights:
                    if flight.owner is None and flight.kind in _OWNED:
                        flight.owner = action
            if self._talk.is_skipping:
                self._skip_flights()
            self._talk.expected.extend(self._flights)
            self._flights.clear()
        self._pos = self._segment = after

    def _skip_flights(self) -> None:
        """The upstream is in error until the next Sync: it will not answer these."""
        while self._flights and self._flights[0].kind != S:
            flight = self._flights.pop(0)
            fail_expected(self._talk, flight)
            if flight.action is not None:  # own actions only, not those it is a part of
                flight.action.error = NOT_EXECUTED
                self.out.append(Completed(flight.action))
        if self._flights:
            self._talk.is_skipping = False

    def _begin_stream(self, action: Action | None, *, is_copy: bool = False) -> None:
        """The rest of a long message follows: its head has just been committed."""
        if self._cut:
            self._flush()
            hold = NO_HOLD if action is None else HOLD_REQUEST
            self._stream_left, self._stream, self._cut = self._cut, (hold, action, is_copy), 0

    def _pass_stream(self) -> bool:
        """Hand on (or drop) what there is of a long message; False when all bytes are used up."""
        pos = self._pos
        after = min(pos + self._stream_left, self._end)
        if after == pos:
            self._needed = 1
            return False
        self._stream_left -= after - pos
        self._pos = self._segment = self._run = after
        if self._stream is None:
            self._discarded[1] += after - pos
            return True
        hold, action, is_copy = self._stream
        data = self._buffer[pos:after]
        if action is not None:
            action.request_bytes += len(data)
            if is_copy:
                self._progress(action, data)
        self.out.append(Piece(UPSTREAM, data, hold, action))
        return True

    def _progress(self, action: Action, data: bytes) -> None:
        if data:
            add_digest(self._talk, action, data)
            self.out.append(Progressed(action, AGENT, data))

    def _ask(self, flight: Flight, action: Action, after: int) -> bool:
        if self._run < self._segment:  # what was allowed before does not wait for this decision, nor for its record
            self._flush()
        self.out.append(Requested(action))
        self._pending = flight
        self._pending_end = after
        return True

    def _settle(self) -> None:
        """The relay has decided: send the action on, or something that fails in its place."""
        flight, after = self._pending, self._pending_end
        refusal, self._refusal = self._refusal, None
        self._pending = None
        if flight is None:
            return
        if refusal is None:
            self._run_action = self._segment_action = flight.action
            if flight.kind != P:
                self._flights.append(flight)
                self._commit(after)
                self._begin_stream(flight.action)
            elif self._is_long:
                self._end_long(after)
            return  # an ordinary Parse stays in its segment, on which the next message decides
        if flight.kind in (Q, F):
            self._refuse_query(flight, refusal, after)
        else:
            self._refuse_execute(flight, refusal, after)

    def _refuse_query(self, flight: Flight, refusal: tuple[str, str], after: int) -> None:
        talk = self._talk
        self._commit(self._pos)
        self._skip_to(after)
        action = flight.action
        if talk.expected or talk.is_skipping or talk.status not in _IDLE_STATES or action is None:
            self._substitute(flight, refusal, FAILING_QUERY)
            return
        code, text = refusal
        action.status, action.error = code, text
        answer = error_response("ERROR", code, text)
        action.response_bytes = len(answer)
        self.out.append(Completed(action))
        self.out.append(Piece(AGENT, answer + ready_for_query(talk.status), HOLD_OUTCOME, action))

    def _refuse_execute(self, flight: Flight, refusal: tuple[str, str], after: int) -> None:
        """The whole open segment is replaced: for the agent its first message fails, the others are skipped."""
        self._flush()
        if flight.kind == P:
            fail_expected(self._talk, flight)
            self._flights.remove(flight)
        self._drop_segment()
        self._is_discarding = True
        if not self._is_long and flight.kind == P:  # what ended the segment is still to be read
            self._cut = 0
        self._is_long = False
        self._skip_to(after)
        self._substitute(flight, refusal, FAILING_PARSE)

    def _skip_to(self, after: int) -> None:
        self._flush()
        self._run = self._segment = self._pos = after
        if self._cut:
            self._stream_left, self._stream, self._cut = self._cut, None, 0

    def _substitute(self, flight: Flight, refusal: tuple[str, str], request: bytes) -> None:
        action = flight.action
        if self._talk.is_skipping and action is not None:  # neither side answers, or waits, before the next Sync
            action.status, action.error = refusal
            self.out.append(Completed(action))
            return
        flight.refusal = refusal
        self._talk.expected.append(flight)
        self.out.append(Piece(UPSTREAM, request, HOLD_REQUEST, action))

    def _discard(self, kind: int, after: int) -> None:
        self._discarded[0] += 1
        self._discarded[1] += after - self._pos
        self._discarded[2] += kind == E
        self._skip_to(after)

    def _end_discarding(self) -> None:
        self._is_discarding = False
        messages, size, executes = self._discarded
        self._discarded = [0, 0, 0]
        if messages:
            counts = {"messages": str(messages), "bytes": str(size), "executes": str(executes)}
            self.out.append(Noted("messages_discarded", counts))

    def _record_parse(self) -> bool:
        """A statement that is prepared without being executed is an action of its own."""
        flight = self._unrecorded.pop(0)
        named = flight.named
        if named is None or named.is_recorded:
            return False
        named.is_recorded = True
        action = Action(named.text, "parse", request_bytes=named.size)
        self._describe(action, named)
        flight.action = flight.owner = action
        return self._ask(flight, action, self._pos)

    def _end_long(self, after: int) -> bool:
        """A Parse or Bind is in the segment. The head of a long one is not held back: record, commit, stream."""
        self._pos = after
        self._is_long = self._cut > 0
        if not self._is_long:
            return False
        while self._unrecorded:
            if self._record_parse():
                return True
        self._is_long = False
        action = self._run_action
        self._commit(after)
        self._begin_stream(action)
        return False

    def _describe(self, action: Action, named: Named) -> None:
        name = named.key[1:]
        if name:
            action.attributes["statement_name"] = name.decode("utf-8", "backslashreplace")
        if named.is_cut:
            self._mark_cut(action, named.size)
        if self._talk.statements.is_uncertain and name:
            action.attributes["statement_source"] = "uncertain: SQL has prepared or deallocated names"

    @staticmethod
    def _mark_cut(action: Action, size: int) -> None:
        action.is_truncated = True
        action.attributes["statement_bytes"] = str(size)
