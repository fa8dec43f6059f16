"""The agent's half of the PostgreSQL conversation: which action a message starts.

Every handler gets the place of a message's type byte and of its end, and says whether to pause: because a decision is
due (its `Requested` is in `out`), or because an answer of the upstream must come first.
"""

from typing import Final

from ingest.codecs.base import HOLD_OUTCOME, HOLD_REQUEST, UPSTREAM, Action, Noted, Piece
from ingest.codecs.postgres_intake import Handlers, Intake
from ingest.codecs.postgres_parameters import read_parameters
from ingest.codecs.postgres_state import (
    COPY_DATA,
    COPY_DONE,
    COPY_FAIL,
    MAYBE_FLIGHT,
    SYNC_FLIGHT,
    B,
    C,
    Conversation,
    D,
    E,
    F,
    Flight,
    H,
    Named,
    Names,
    P,
    Q,
    S,
    X,
)
from ingest.codecs.postgres_wire import MalformedError, cut, int32, read_cstring, uint16, uint32

_NO_PARAMETERS: Final = bytes(4)  # no format codes, no values
NUL: Final = 0  # a number: to look for bytes in bytes raises and catches a TypeError first


class Requests(Intake):
    """All messages of the agent."""

    def __init__(self, talk: Conversation) -> None:
        super().__init__(talk, HANDLERS)

    def _must_wait(self) -> bool:
        if len(self._talk.expected) < self._limits.max_in_flight:
            return False
        self._flush()
        return True

    def _query(self, pos: int, after: int) -> bool:
        if self._unrecorded:
            return self._record_parse()
        if self._must_wait():
            return True
        text, is_cut = self._read_text(pos + 5, after - (not self._cut))
        if not self._cut and self._buffer[after - 1]:
            raise MalformedError("a query without its end")
        action = Action(text, request_bytes=after - pos)
        if is_cut:
            self._mark_cut(action, after - pos - 6 + self._cut)
        self._group += 1
        return self._ask(Flight(Q, action), action, after)

    def _read_text(self, start: int, end: int) -> tuple[str, bool]:
        stop = min(end, start + self._limits.max_statement_bytes)
        is_cut = stop < end or self._cut > 0
        return cut(self._buffer, start, stop).decode(self._talk.encoding, "backslashreplace"), is_cut

    def _make_room(self, pos: int, after: int) -> bool | None:
        """None: the segment may grow. Else its bytes are too many to hold back: pause as told, or go on scanning."""
        limits = self._limits
        if len(self._talk.expected) >= limits.max_in_flight:
            return self._must_wait()
        size = self._held_bytes + after - self._segment
        if size <= limits.max_message_bytes and len(self._flights) < limits.max_in_flight:
            return None
        if self._unrecorded:
            return self._record_parse()
        self._commit(pos)
        return None

    def _parse(self, pos: int, after: int) -> bool:
        pause = self._make_room(pos, after)
        if pause is not None:
            return pause
        buffer = self._buffer
        name, start = read_cstring(buffer, pos + 5, after)
        stop = buffer.find(b"\0", start, after)
        if stop < 0 and not self._cut:
            raise MalformedError("a statement without its end")
        is_whole = stop >= 0
        text, is_cut = self._read_text(start, stop if is_whole else after)
        named = Named(b"S" + name, self._group, text)
        named.is_cut = is_cut and (not is_whole or stop - start > self._limits.max_statement_bytes)
        if is_whole and not self._cut:
            count = uint16(buffer, stop + 1)
            if stop + 3 + 4 * count != after:
                raise MalformedError("bad length of a Parse")
            named.oids = tuple([uint32(buffer, stop + 3 + 4 * i) for i in range(count)])
        flight = Flight(P, None, named)
        if not self._talk.statements.define(named):
            self.out.append(Noted("limit_reached", {"limit": "names", "statement_bytes": str(named.size)}))
        self._flights.append(flight)
        self._unrecorded.append(flight)
        return self._end_long(after)

    def _bind(self, pos: int, after: int) -> bool:
        pause = self._make_room(pos, after)
        if pause is not None:
            return pause
        buffer = self._buffer
        portal, start = read_cstring(buffer, pos + 5, after)
        name, start = read_cstring(buffer, start, after)
        statements = self._talk.statements
        key = b"S" + name
        if statements.is_contested(key, self._group):
            self._flush()
            return True
        stop = min(after, start + self._limits.max_parameter_bytes)
        named = Named(b"P" + portal, self._group, "", buffer[start:stop])
        named.is_cut = stop < after or self._cut > 0
        named.statement = statements.find(key) or Named(key, self._group)
        if not self._talk.portals.define(named):
            self.out.append(Noted("limit_reached", {"limit": "names"}))
        self._flights.append(Flight(B, None, named))
        return self._end_long(after)

    def _describe_or_close(self, pos: int, after: int) -> bool:
        pause = self._make_room(pos, after)
        if pause is not None:
            return pause
        key = cut(self._buffer, pos + 5, after - 1)
        if self._buffer[after - 1] or key[:1] not in (b"S", b"P") or NUL in key:
            raise MalformedError("bad Describe or Close")
        names = self._names(key)
        kind = self._buffer[pos]
        if kind == C:
            closed = Named(key, self._group)
            closed.is_closed = True
            names.define(closed)
            self._flights.append(Flight(C, None, closed))
        else:
            self._flights.append(Flight(D, None, names.find(key)))
        self._pos = after
        return False

    def _names(self, key: bytes) -> Names:
        return self._talk.portals if key[:1] == b"P" else self._talk.statements

    def _execute(self, pos: int, after: int) -> bool:
        if self._must_wait():
            return True
        buffer, talk = self._buffer, self._talk
        name, start = read_cstring(buffer, pos + 5, after)
        if start + 4 != after:
            raise MalformedError("bad length of an Execute")
        key = b"P" + name
        if talk.portals.is_contested(key, self._group):
            self._flush()
            return True
        portal = talk.portals.find(key)
        if self._unrecorded:
            executed = portal.statement if portal is not None else None
            self._unrecorded = [flight for flight in self._unrecorded if flight.named is not executed]
            if self._unrecorded:  # other Parses of this segment: they go upstream with it
                return self._record_parse()
        action = self._make_execute(portal, name)
        action.request_bytes = after - self._segment + self._held_bytes
        limit = uint32(buffer, start)
        if limit:
            action.attributes["max_rows"] = str(limit)
        return self._ask(Flight(E, action, portal), action, after)

    def _make_execute(self, portal: Named | None, name: bytes) -> Action:
        statement = portal.statement if portal is not None else None
        action = Action("" if statement is None else statement.text, "execute")
        if name:
            action.attributes["portal"] = name.decode("utf-8", "backslashreplace")
        if portal is None or statement is None:
            action.attributes["statement_source"] = "unknown: a portal that no Bind has made"
            return action
        if not (statement.is_confirmed or statement.is_kept):
            action.attributes["statement_source"] = "unknown: a statement that no Parse has made"
        statement.is_recorded = True
        self._describe(action, statement)
        if self._talk.portals.is_uncertain and name:
            action.attributes["statement_source"] = "uncertain: SQL has declared or closed cursors"
        if portal.block[:4] != _NO_PARAMETERS:
            read_parameters(action, portal, self._talk.encoding)
        if portal.is_started:
            action.attributes["is_continued"] = "true"
        portal.is_started = True
        return action

    def _sync(self, pos: int, after: int) -> bool:
        if self._unrecorded and not self._is_discarding:
            return self._record_parse()
        talk = self._talk
        if talk.copy is None and self._must_wait():
            return True
        if self._is_discarding:
            self._end_discarding()
        if talk.copy is None:
            self._flights.append(SYNC_FLIGHT)
            talk.syncs += 1
        elif len(talk.expected) < self._limits.max_in_flight:
            self._flights.append(MAYBE_FLIGHT)
        self._group += 1
        self._commit(after)
        return False

    def _flush_request(self, pos: int, after: int) -> bool:
        if self._unrecorded:
            return self._record_parse()
        self._commit(after)
        return False

    def _function_call(self, pos: int, after: int) -> bool:
        if self._unrecorded:
            return self._record_parse()
        if self._must_wait():
            return True
        oid = uint32(self._buffer, pos + 5)
        action = Action(f"function {oid}", "function_call", request_bytes=after - pos)
        action.attributes["function_oid"] = str(oid)
        call = Named(b"", self._group, "", cut(self._buffer, pos + 9, after))
        call.is_cut = self._cut > 0 or len(call.block) > self._limits.max_parameter_bytes
        call.block = call.block[: self._limits.max_parameter_bytes]
        call.statement = Named(b"", self._group)
        read_parameters(action, call, self._talk.encoding)
        self._group += 1
        return self._ask(Flight(F, action), action, after)

    def _terminate(self, pos: int, after: int) -> bool:
        if self._unrecorded and not self._is_discarding:
            return self._record_parse()
        self._commit(after)
        self._talk.is_terminated = True
        return False

    def _copy_data(self, pos: int, after: int) -> bool:
        talk = self._talk
        flight = talk.copy
        if flight is None or flight.action is None:
            return self._stray_copy(after)
        self._flush()
        buffer, end = self._buffer, self._end
        if self._cut:
            bodies = [buffer[pos + 5 : after]]
        else:
            bodies = []
            start = pos
            while True:
                bodies.append(buffer[start + 5 : after])
                start = after
                if end - start < 5 or buffer[start] != COPY_DATA:
                    break
                length = int32(buffer, start + 1)
                after = start + 1 + length
                if after > end or not 4 <= length < self._limits.max_message_bytes:
                    after = start
                    break
        flight.action.request_bytes += after - pos
        self._progress(flight.action, b"".join(bodies))
        self._commit(after)
        self._run_action = flight.action
        self._begin_stream(flight.action, is_copy=True)
        self._flush()
        return False

    def _stray_copy(self, after: int) -> bool:
        """Without a copy: either the answer is still to come, or it has failed and the upstream ignores this."""
        if self._talk.expected:
            self._flush()
            return True
        self._commit(after)
        self._begin_stream(None)
        return False

    def _copy_end(self, pos: int, after: int) -> bool:
        flight = self._talk.copy
        if flight is None or flight.action is None:
            return self._stray_copy(after)
        self._flush()
        if self._buffer[pos] == COPY_FAIL:
            flight.action.attributes["copy_failed"] = "true"
        hold = HOLD_OUTCOME if self._buffer[pos] == COPY_DONE else HOLD_REQUEST
        flight.action.request_bytes += after - pos
        self._commit(after)
        self._run = after
        self.out.append(Piece(UPSTREAM, self._buffer[pos:after], hold, flight.action))
        self._talk.copy = None
        return False


HANDLERS: Final[Handlers] = {
    Q: Requests._query,
    P: Requests._parse,
    B: Requests._bind,
    D: Requests._describe_or_close,
    C: Requests._describe_or_close,
    E: Requests._execute,
    S: Requests._sync,
    H: Requests._flush_request,
    F: Requests._function_call,
    X: Requests._terminate,
    COPY_DATA: Requests._copy_data,
    COPY_DONE: Requests._copy_end,
    COPY_FAIL: Requests._copy_end,
}
