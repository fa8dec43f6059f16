"""The upstream's half of the PostgreSQL conversation: which request a message answers."""

from typing import Final

from ingest.codecs.base import AGENT, HOLD_OUTCOME, UPSTREAM, Completed, Noted, Piece, Progressed
from ingest.codecs.postgres_failures import Failures, brief
from ingest.codecs.postgres_outflow import Handlers, finish
from ingest.codecs.postgres_state import (
    COPY_DATA,
    DATA_ROW,
    MAYBE_SYNC,
    B,
    C,
    Conversation,
    D,
    E,
    F,
    Flight,
    P,
    Q,
    S,
    add_digest,
)
from ingest.codecs.postgres_tags import note_tag
from ingest.codecs.postgres_wire import (
    ENCODINGS,
    TRANSACTION_STATES,
    MalformedError,
    cut,
    int32,
    read_cstring,
    read_fields,
    uint16,
    uint32,
)

SERVER_NAME_BYTES: Final = 63
"""PostgreSQL cuts names, application_name among them, at NAMEDATALEN - 1 bytes."""
COPY_KINDS: Final = {ord("G"): "copy_in", ord("H"): "copy_out", ord("W"): "copy_both"}


class Answers(Failures):
    """All messages of the upstream."""

    def __init__(self, talk: Conversation) -> None:
        super().__init__(talk, HANDLERS)

    def _parse_complete(self, pos: int, after: int) -> None:
        flight = self._head((P,), after - pos)
        if flight.named is not None:
            self._talk.statements.confirm(flight.named)
        action = flight.action
        self._talk.expected.popleft()
        self._pos = after
        if action is not None:
            action.status = "00000"
            self._complete(action)

    def _bind_complete(self, pos: int, after: int) -> None:
        named = self._head((B,), after - pos).named
        if named is not None:
            self._talk.portals.confirm(named)
        self._talk.expected.popleft()
        self._pos = after

    def _close_complete(self, pos: int, after: int) -> None:
        named = self._head((C,), after - pos).named
        if named is not None:
            names = self._talk.portals if named.key[:1] == b"P" else self._talk.statements
            names.confirm(named)
        self._talk.expected.popleft()
        self._pos = after

    def _parameter_description(self, pos: int, after: int) -> None:
        named = self._head((D,), after - pos).named
        count = uint16(self._buffer, pos + 5)
        if after - pos != 7 + 4 * count:
            raise MalformedError("bad length of a ParameterDescription")
        if named is not None:
            named.oids = tuple([uint32(self._buffer, pos + 7 + 4 * i) for i in range(count)])
        self._pos = after

    def _no_data(self, pos: int, after: int) -> None:
        self._head((D,), after - pos)
        self._talk.expected.popleft()
        self._pos = after

    def _command_complete(self, pos: int, after: int) -> None:
        flight = self._head((Q, E), after - pos)
        tag = cut(self._buffer, pos + 5, after - 1).decode("utf-8", "backslashreplace")
        note_tag(self._talk, flight, tag)
        if flight.kind == E:
            self._done(pos, after)
        else:
            self._pos = after

    def _empty_query(self, pos: int, after: int) -> None:
        flight = self._head((Q, E), after - pos)
        if flight.kind == E:
            self._done(pos, after)
        else:
            self._pos = after

    def _portal_suspended(self, pos: int, after: int) -> None:
        flight = self._head((E,), after - pos)
        if flight.action is not None:
            flight.action.attributes["is_suspended"] = "true"
        self._done(pos, after)

    def _copy_begins(self, pos: int, after: int) -> None:
        talk = self._talk
        kind = COPY_KINDS[self._buffer[pos]]
        flight = self._head((Q, E), after - pos)
        action = flight.action
        flight.copy = kind
        self._pos = after
        if action is not None:
            action.kind = kind
            action.is_bounded = False
            code = self._buffer[pos + 5]
            action.attributes["copy_format"] = "binary" if code else "text"
        if kind != "copy_out":
            talk.copy = flight
            while len(talk.expected) > 1 and talk.expected[1] is _sync_flight(talk):  # ignored: it reads copy data now
                del talk.expected[1]
                talk.syncs -= 1

    def _copy_data(self, pos: int, after: int) -> None:
        flight = self._head((Q, E), after - pos)
        action = flight.action
        if action is None or flight.copy not in ("copy_out", "copy_both"):
            raise MalformedError("copy data outside a copy")
        buffer, end = self._buffer, self._end
        counted = after
        bodies = [buffer[pos + 5 : after]]
        if not self._cut:
            limit = self._limits.max_message_bytes
            while end - after >= 5:
                kind = buffer[after]
                length = int32(buffer, after + 1)
                following = after + 1 + length
                if kind != COPY_DATA or following > end or not 4 <= length < limit:
                    break
                bodies.append(buffer[after + 5 : following])
                after = following
        data = b"".join(bodies)
        action.response_bytes += after - counted
        self._pos = after
        if data:
            add_digest(self._talk, action, data)
            self.out.append(Progressed(action, UPSTREAM, data))
        self._flush()

    def _copy_done(self, pos: int, after: int) -> None:
        self._head((Q, E), after - pos)
        self._pos = after

    def _ready(self, pos: int, after: int) -> None:
        talk, expected = self._talk, self._talk.expected
        status = self._buffer[pos + 5]
        if after - pos != 6 or status not in TRANSACTION_STATES:
            raise MalformedError("bad ReadyForQuery")
        if not expected or expected[0].kind not in (S, Q, F, MAYBE_SYNC):
            raise MalformedError("a ReadyForQuery that no request has asked for")
        self._flush()
        flight = expected.popleft()
        if flight.kind == S:
            talk.syncs -= 1
        talk.status = status
        if status == 73 and len(talk.portals):
            talk.portals.remove_confirmed()
        action = flight.action
        if action is None:
            action, self._deferred = self._deferred, None
        else:
            if talk.copy is flight:
                talk.copy = None
            finish(flight, action)
        if action is not None:
            action.response_bytes += after - pos
            self.out.append(Completed(action))
        else:
            action = self._group_action
        self._group_action = None
        self._mark(after, action)

    def _notice(self, pos: int, after: int) -> None:
        fields = read_fields(self._buffer, pos + 5, after, self._talk.encoding)
        self.out.append(Noted("notice", brief(fields)))
        self._pos = after

    def _notification(self, pos: int, after: int) -> None:
        """Waits for its own record: OUTCOME without an action means the records of all steps so far."""
        self._flush()
        buffer, encoding = self._buffer, self._talk.encoding
        channel, start = read_cstring(buffer, pos + 9, after)
        stop = after if self._cut else after - 1
        payload = cut(buffer, start, min(stop, start + self._limits.max_payload_bytes))
        facts = {
            "channel": channel.decode(encoding, "backslashreplace"),
            "payload": payload.decode(encoding, "backslashreplace"),
            "process_id": str(uint32(buffer, pos + 5)),
        }
        self.out.append(Noted("notification", facts))
        self._pos = self._run = after
        self.out.append(Piece(AGENT, buffer[pos:after], HOLD_OUTCOME))

    def _parameter_status(self, pos: int, after: int) -> None:
        name, start = read_cstring(self._buffer, pos + 5, after)
        value, _ = read_cstring(self._buffer, start, after)
        facts = {
            "name": name.decode("utf-8", "backslashreplace"),
            "value": (uncut(value) if name == b"application_name" else value).decode("utf-8", "backslashreplace"),
        }
        if facts["name"] == "client_encoding":
            self._talk.encoding = ENCODINGS.get(facts["value"], "utf-8")
            self._columns.clear()
        self.out.append(Noted("parameter", facts))
        self._pos = after


def uncut(value: bytes) -> bytes:
    """A setting as the server reports it, without a last word that it may have cut: half a secret is none that masking
    knows. What the agent set is recorded where it set it."""
    return value if len(value) < SERVER_NAME_BYTES else value.rpartition(b" ")[0]


def _sync_flight(talk: Conversation) -> Flight | None:
    return talk.expected[1] if talk.expected[1].kind == S else None


HANDLERS: Final[Handlers] = {
    ord("1"): Answers._parse_complete,
    ord("2"): Answers._bind_complete,
    ord("3"): Answers._close_complete,
    ord("C"): Answers._command_complete,
    DATA_ROW: Answers._data_rows,
    ord("E"): Answers._error,
    ord("G"): Answers._copy_begins,
    ord("H"): Answers._copy_begins,
    ord("I"): Answers._empty_query,
    ord("N"): Answers._notice,
    ord("S"): Answers._parameter_status,
    ord("T"): Answers._row_description,
    ord("V"): Answers._function_result,
    ord("W"): Answers._copy_begins,
    ord("Z"): Answers._ready,
    ord("A"): Answers._notification,
    ord("c"): Answers._copy_done,
    COPY_DATA: Answers._copy_data,
    ord("n"): Answers._no_data,
    ord("s"): Answers._portal_suspended,
    ord("t"): Answers._parameter_description,
}
