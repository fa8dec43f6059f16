"""The upstream's half of the PostgreSQL conversation: which request a message answers, and what waits for which
record.

Answer bytes gather into one piece per run; a run ends before an end mark and at the end of the bytes read.
"""

from collections.abc import Callable
from struct import error as StructError
from typing import Final

import orjson

from ingest.codecs.base import Action, Completed, Hold, Noted, Piece, Progressed, Side, Step
from ingest.codecs.postgres_parameters import result_formats
from ingest.codecs.postgres_state import (
    COPY_DATA,
    LOST,
    MAYBE_FLIGHT,
    MAYBE_SYNC,
    NOT_EXECUTED,
    B,
    C,
    Columns,
    Conversation,
    D,
    E,
    F,
    Flight,
    P,
    Q,
    S,
    add_digest,
    fail_expected,
)
from ingest.codecs.postgres_types import TEXTUAL, Decode, decoder, render, render_hex
from ingest.codecs.postgres_wire import (
    ENCODINGS,
    HEADER,
    INT16,
    INT32,
    SIGNED32,
    TRANSACTION_STATES,
    UPSTREAM_LENGTHS,
    MalformedError,
    error_response,
    read_cstring,
    read_fields,
)

_unpack_header = HEADER.unpack_from
_unpack_size = SIGNED32.unpack_from
_unpack_count = INT16.unpack_from
DATA_ROW: Final = ord("D")
COPY_KINDS: Final = {ord("G"): "copy_in", ord("H"): "copy_out", ord("W"): "copy_both"}
FATAL: Final = ("FATAL", "PANIC")
MAX_CACHED_COLUMNS: Final = 64
MAX_RESULT_SETS: Final = 20
SMALL_PIECE: Final = 16_384  # below it a copy is cheaper than keeping the whole read alive


class Answers:
    """Bytes of the upstream in, steps out (`out`); takes the expected answers off the conversation."""

    def __init__(self, talk: Conversation) -> None:
        self.out: list[Step] = []
        self.fatal = ""  # the SQLSTATE of an error that ends the session
        self._talk = talk
        self._limits = talk.limits
        self._buffer = b""
        self._run = self._pos = self._end = 0
        self._parts: list[bytes] = []
        self._part_bytes = 0
        self._needed = 0
        self._cut = 0
        self._stream: tuple[Hold, Action | None, bool, bool] | None = None
        self._stream_left = 0
        self._run_action: Action | None = None
        self._group_action: Action | None = None  # the last one completed since a ReadyForQuery
        self._deferred: Action | None = None  # done, but the Sync behind it may still fail to commit
        self._columns: dict[bytes, Columns] = {}

    @property
    def backlog(self) -> int:
        return self._end - self._run + self._part_bytes

    def receive(self, data: bytes) -> None:
        if self._part_bytes:
            self._parts.append(data)
            self._part_bytes += len(data)
        else:
            self._buffer = data
            self._run = self._pos = 0
            self._end = len(data)

    def advance(self) -> None:
        """Use up the bytes. MalformedError: `take_rest` has what is left."""
        if self._part_bytes and not self._load():
            return
        if self._pos == self._end:
            return
        try:
            self._scan()
        except (StructError, IndexError) as error:
            raise MalformedError("malformed message") from error
        self._flush()
        if self._pos < self._end:
            self._parts.append(self._buffer[self._pos : self._end])
            self._part_bytes = self._end - self._pos
        self._buffer = b""
        self._run = self._pos = self._end = 0

    def take_rest(self) -> bytes:
        """Hand on what was understood; give back the rest."""
        self._flush()
        rest = b"".join([self._buffer[self._pos : self._end], *self._parts])
        self._parts.clear()
        self._part_bytes = 0
        self._run = self._pos = self._end = 0
        return rest

    def complete_all(self, status: str, error: str) -> list[Action]:
        """Give every action in flight this outcome; the steps are in `out`."""
        done: list[Action] = []
        talk = self._talk
        if self._deferred is not None:
            done.append(self._deferred)
            self._deferred = None
        for flight in talk.expected:
            action = flight.action
            if action is not None and not flight.is_complete:
                if not action.status:
                    action.status, action.error = status, error
                flight.is_complete = True
                done.append(action)
        talk.expected.clear()
        talk.syncs = 0
        talk.copy = None
        self.out.extend(Completed(action) for action in done)
        return done

    # bytes

    def _load(self) -> bool:
        if self._part_bytes < self._needed:
            return False
        self._buffer = b"".join(self._parts)
        self._parts.clear()
        self._part_bytes = self._needed = 0
        self._run = self._pos = 0
        self._end = len(self._buffer)
        return True

    def _scan(self) -> None:
        buffer, end = self._buffer, self._end
        handlers = _HANDLERS
        while True:
            pos = self._pos
            if self._stream_left:
                if not self._pass_stream():
                    return
                continue
            if end - pos < 5:
                self._needed = 5
                return
            kind, length = _unpack_header(buffer, pos)
            after = pos + 1 + length
            handle = handlers.get(kind)
            if handle is None or length < 4:
                raise MalformedError(f"no message of type 0x{kind:02x} or length {length} is expected from a server")
            if after > end or length > 65_535:
                if length > UPSTREAM_LENGTHS[kind]:
                    raise MalformedError("a message is too long")
                limit = self._limits.max_message_bytes
                if length >= limit:
                    if end - pos < limit and after > end:
                        self._needed = limit
                        return
                    self._cut = max(after - end, 0)
                    after = min(after, end)
                elif after > end:
                    self._needed = length + 1
                    return
            handle(self, pos, after)
            if self._cut:
                self._begin_stream(kind)

    def _begin_stream(self, kind: int) -> None:
        """A long message: its head is dealt with, the rest goes the same way."""
        action = self._run_action
        if self._run == self._pos and self.out and isinstance(self.out[-1], Piece):  # the head was an end mark
            hold, action = self.out[-1].hold, self.out[-1].action
        else:
            hold = Hold.NONE if action is None else Hold.REQUEST
            self._flush()
        self._stream = (hold, action, kind in (DATA_ROW, COPY_DATA), kind == COPY_DATA)
        self._stream_left, self._cut = self._cut, 0

    def _pass_stream(self) -> bool:
        pos = self._pos
        after = min(pos + self._stream_left, self._end)
        if after == pos or self._stream is None:
            self._needed = 1
            return False
        self._stream_left -= after - pos
        self._pos = self._run = after
        hold, action, is_payload, is_copy = self._stream
        data = self._buffer[pos:after]
        if action is not None:
            action.response_bytes += len(data)
            if is_payload:
                add_digest(self._talk, action, data)
            if is_copy:
                self.out.append(Progressed(action, Side.UPSTREAM, data))
        self.out.append(Piece(Side.AGENT, data, hold, action))
        return True

    def _flush(self) -> None:
        """Hand on the run up to `_pos`."""
        run, pos = self._run, self._pos
        if run < pos:
            self._run = pos
            action = self._run_action
            if action is None:
                self.out.append(Piece(Side.AGENT, self._slice(run, pos)))
            else:
                self.out.append(Piece(Side.AGENT, self._slice(run, pos), Hold.REQUEST, action))

    def _slice(self, start: int, stop: int) -> bytes | memoryview:
        if stop - start < SMALL_PIECE or (start == 0 and stop == self._end):
            return self._buffer[start:stop]
        return memoryview(self._buffer)[start:stop]

    def _mark(self, after: int, action: Action | None) -> None:
        """Hand on the end mark up to `after`."""
        pos = self._pos
        self._pos = self._run = after
        self._run_action = None
        if action is not None:
            self.out.append(Piece(Side.AGENT, self._buffer[pos:after], Hold.OUTCOME, action))
        else:
            self.out.append(Piece(Side.AGENT, self._buffer[pos:after]))

    # what is answered

    def _head(self, kinds: tuple[int, ...], size: int) -> Flight:
        """The request that a message of `size` bytes answers; they are counted for its action."""
        expected = self._talk.expected
        while expected and expected[0].kind == MAYBE_SYNC:
            expected.popleft()
        if not expected or expected[0].kind not in kinds:
            raise MalformedError("an answer that no request has asked for")
        flight = expected[0]
        owner = flight.owner
        if owner is not None:
            self._run_action = owner
            if flight.kind != D or owner.kind != "parse":  # a Parse's action is complete by then
                owner.response_bytes += size
        return flight

    def _complete(self, action: Action) -> None:
        self._group_action = action
        self.out.append(Completed(action))

    def _done(self, pos: int, after: int) -> None:
        """The head's Execute or Parse is over with this message."""
        talk = self._talk
        flight = talk.expected.popleft()
        action = flight.action
        flight.is_complete = True
        if talk.copy is flight:
            talk.copy = None
        if flight.copy == "copy_in":
            while talk.expected and talk.expected[0] is MAYBE_FLIGHT:
                talk.expected.popleft()
        if action is None:
            self._pos = after
            return
        _finish(flight, action)
        if talk.syncs:  # a ReadyForQuery will be the end mark
            self._pos = after
            if talk.expected[0].kind == S:
                self._deferred = action
            else:
                self._complete(action)
            return
        self._flush()
        self._complete(action)
        self._mark(after, action)

    # messages

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
        (count,) = _unpack_count(self._buffer, pos + 5)
        if after - pos != 7 + 4 * count:
            raise MalformedError("bad length of a ParameterDescription")
        if named is not None:
            named.oids = tuple(INT32.unpack_from(self._buffer, pos + 7 + 4 * i)[0] for i in range(count))
        self._pos = after

    def _no_data(self, pos: int, after: int) -> None:
        self._head((D,), after - pos)
        self._talk.expected.popleft()
        self._pos = after

    def _row_description(self, pos: int, after: int) -> None:
        flight = self._head((D, Q), after - pos)
        columns = self._read_columns(pos + 5, after)
        self._pos = after
        if flight.kind == D:
            if flight.named is not None:
                flight.named.columns = columns
            self._talk.expected.popleft()
            return
        self._begin_result(flight, columns, columns.formats)

    def _begin_result(self, flight: Flight, columns: Columns, formats: tuple[int, ...]) -> None:
        action = flight.action
        if action is None:
            return
        if not flight.results:
            action.columns = columns.names
        if len(flight.results) < MAX_RESULT_SETS:
            flight.results.append((len(action.row_values), columns.names))
        flight.columns = columns
        flight.decoders = self._choose_decoders(action, columns, formats)

    def _choose_decoders(
        self, action: Action, columns: Columns, formats: tuple[int, ...]
    ) -> list[Decode | None] | None:
        """How each column becomes text; None when all are text already."""
        if not any(formats):
            return None
        if len(formats) == 1:
            formats = formats * len(columns.oids)
        chosen: list[Decode | None] = []
        undecoded: list[str] = []
        for index, (oid, code) in enumerate(zip(columns.oids, formats, strict=False)):
            decode = None if code == 0 or oid in TEXTUAL else decoder(oid) or render_hex
            if decode is render_hex and oid != 17:
                undecoded.append(str(index + 1))
            chosen.append(decode)
        if undecoded:
            action.attributes["undecoded_columns"] = ",".join(undecoded)
        return chosen

    def _read_columns(self, start: int, after: int) -> Columns:
        raw = self._buffer[start:after]
        columns = self._columns.get(raw)
        if columns is not None:
            return columns
        (count,) = _unpack_count(raw)
        place = 2
        names: list[str] = []
        oids: list[int] = []
        formats: list[int] = []
        try:
            for _ in range(count):
                name, place = read_cstring(raw, place, len(raw))
                names.append(name.decode(self._talk.encoding, "backslashreplace"))
                oids.append(INT32.unpack_from(raw, place + 6)[0])
                formats.append(_unpack_count(raw, place + 16)[0])
                place += 18
        except (MalformedError, StructError):
            if not self._cut:
                raise
        columns = Columns(names, tuple(oids), tuple(formats))
        if len(self._columns) < MAX_CACHED_COLUMNS and len(raw) < 4096:
            self._columns[raw] = columns
        return columns

    def _data_rows(self, pos: int, after: int) -> None:
        """This DataRow and all that follow it in the buffer."""
        flight = self._head((E, Q), after - pos)
        action = flight.action
        if action is None:
            raise MalformedError("a row without a request")
        if flight.kind == E and flight.columns is None:
            self._begin_portal(flight)
        buffer, end = self._buffer, self._end
        first, counted, rows = pos, after, 0
        if self._cut:
            rows = 1
            flight.is_keeping = False
            action.is_truncated = True
        else:
            limit = self._limits.max_message_bytes
            while True:
                if flight.is_keeping:
                    self._keep_row(flight, action, pos + 5, after)
                rows += 1
                pos = after
                if end - pos < 5:
                    break
                kind, length = _unpack_header(buffer, pos)
                after = pos + 1 + length
                if kind != DATA_ROW or after > end or not 6 <= length < limit:
                    after = pos
                    break
        action.rows += rows
        action.response_bytes += after - counted
        self._pos = after
        if self._talk.new_digest is not None:
            add_digest(self._talk, action, memoryview(buffer)[first:after])

    def _begin_portal(self, flight: Flight) -> None:
        portal = flight.named
        statement = portal.statement if portal is not None else None
        formats = result_formats(portal) if portal is not None else ()
        columns = portal.columns if portal is not None else None
        if columns is None and statement is not None:
            columns = statement.columns
        if columns is not None:
            self._begin_result(flight, columns, formats)
            return
        flight.columns = Columns([], (), ())
        if any(formats) and flight.action is not None:  # never described: the types are not known
            (count,) = _unpack_count(self._buffer, self._pos + 5)
            codes = formats * count if len(formats) == 1 else formats
            flight.decoders = [render_hex if code else None for code in codes]
            flight.action.attributes["undecoded_columns"] = "all"

    def _keep_row(self, flight: Flight, action: Action, start: int, after: int) -> None:
        limits = self._limits
        flight.kept_bytes += after - start
        if len(action.row_values) >= limits.max_rows or flight.kept_bytes > limits.max_payload_bytes:
            flight.is_keeping = False
            action.is_truncated = True
            return
        buffer, encoding, decoders = self._buffer, self._talk.encoding, flight.decoders
        (count,) = _unpack_count(buffer, start)
        start += 2
        row: list[str | None] = []
        for index in range(count):
            (size,) = _unpack_size(buffer, start)
            start += 4
            if size < 0:
                row.append(None)
                continue
            stop = start + size
            if stop > after:
                raise MalformedError("a value beyond its row")
            raw = buffer[start:stop]
            start = stop
            decode = decoders[index] if decoders is not None and index < len(decoders) else None
            if decode is None:
                row.append(raw.decode(encoding, "backslashreplace"))
            else:
                row.append(render(raw, decode))
        if start > after:
            raise MalformedError("a row beyond its end")
        action.row_values.append(row)

    def _command_complete(self, pos: int, after: int) -> None:
        flight = self._head((Q, E), after - pos)
        tag = self._buffer[pos + 5 : after - 1].decode("utf-8", "backslashreplace")
        self._add_tag(flight, tag)
        if flight.kind == E:
            self._done(pos, after)
        else:
            self._pos = after

    def _add_tag(self, flight: Flight, tag: str) -> None:
        if len(flight.tags) < self._limits.max_tags:
            flight.tags.append(tag)
        elif len(flight.tags) == self._limits.max_tags:
            flight.tags.append("…")
        change = _NAME_CHANGES.get(tag)
        if change is not None:
            change(self._talk, flight)
        action = flight.action
        word, _, count = tag.rpartition(" ")
        if action is None or not count.isdigit() or word == "SELECT" or len(count) > 18:
            return
        if flight.copy == "copy_out":
            action.rows += int(count)
        elif not word.startswith(("FETCH", "MOVE")):
            affected = int(action.attributes.get("rows_affected", "0")) + int(count)
            action.attributes["rows_affected"] = str(affected)
        if flight.copy:
            if self._talk.copy is flight:
                self._talk.copy = None
            flight.copy = ""

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
                kind, length = _unpack_header(buffer, after)
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
            self.out.append(Progressed(action, Side.UPSTREAM, data))
        self._flush()

    def _copy_done(self, pos: int, after: int) -> None:
        self._head((Q, E), after - pos)
        self._pos = after

    def _function_result(self, pos: int, after: int) -> None:
        flight = self._head((F,), after - pos)
        action = flight.action
        self._pos = after
        if action is None:
            return
        (size,) = _unpack_size(self._buffer, pos + 5)
        raw = self._buffer[pos + 9 : after]
        if len(raw) > self._limits.max_payload_bytes or self._cut:
            action.is_truncated = True
            raw = raw[: self._limits.max_payload_bytes]
        action.rows = 1
        action.row_values.append([None if size < 0 else render_hex(raw)])
        add_digest(self._talk, action, self._buffer[pos:after])

    def _error(self, pos: int, after: int) -> None:
        talk = self._talk
        fields = read_fields(self._buffer, pos + 5, after, talk.encoding)
        if fields.get("severity_code", fields.get("severity")) in FATAL:
            self._fatal(fields, after)
            return
        while talk.expected and talk.expected[0].kind == MAYBE_SYNC:
            talk.expected.popleft()
        if not talk.expected:
            self._orphan_error(fields, after)
            return
        flight = talk.expected[0]
        if flight.kind in (Q, F):
            self._fail(flight.action, fields)
            flight.is_failed = True
            if talk.copy is flight:
                talk.copy = None
            flight.copy = ""
            self._run_action = flight.action
            self._replace_or_pass(flight, after)
        else:
            self._fail_pipeline(fields, after)

    @staticmethod
    def _fail(action: Action | None, fields: dict[str, str]) -> None:
        if action is not None:
            action.status = fields.get("sqlstate", "XX000")
            action.error = fields.get("message", "")
            for name in ("detail", "hint", "context", "position", "constraint", "table", "column", "schema"):
                if name in fields:
                    action.attributes["error_" + name] = fields[name][:4096]

    def _replace_or_pass(self, flight: Flight, after: int) -> None:
        """An ErrorResponse inside an answer; that of a refused action is replaced by the proxy's own."""
        if flight.refusal is None:
            if flight.action is not None:
                flight.action.response_bytes += after - self._pos
            self._pos = after
            return
        self._flush()
        self._pos = self._run = after
        self.out.append(self._refusal_piece(flight, flight.refusal))

    def _refusal_piece(self, flight: Flight, refusal: tuple[str, str]) -> Piece:
        code, text = refusal
        action = flight.action
        answer = error_response("ERROR", code, text)
        if action is not None:
            for name in [n for n in action.attributes if n.startswith("error_")]:
                del action.attributes[name]
            action.status, action.error = code, text
            action.response_bytes += len(answer)
        return Piece(Side.AGENT, answer, Hold.REQUEST, action)

    def _fail_pipeline(self, fields: dict[str, str], after: int) -> None:
        """An error in the extended protocol: its action fails, the rest up to the Sync is not executed."""
        talk, expected = self._talk, self._talk.expected
        failed: Flight | None = None
        skipped: list[Action] = []
        while expected and expected[0].kind != S:
            flight = expected.popleft()
            fail_expected(talk, flight)
            if talk.copy is flight:
                talk.copy = None
            action = flight.action
            if action is None:
                continue
            if failed is None:
                failed = flight
                self._fail(action, fields)
            else:
                action.error = NOT_EXECUTED
                skipped.append(action)
        if not expected:
            talk.is_skipping = True
        if failed is None and self._deferred is not None:  # the commit of a Sync has failed
            self._fail(self._deferred, fields)
            self._deferred.response_bytes += after - self._pos
            self._pos = after
            return
        if failed is None or failed.action is None:
            self.out.append(Noted("error", _brief(fields)))
            self._pos = after
            return
        self._end_failed(failed, failed.action, skipped, after)

    def _end_failed(self, failed: Flight, action: Action, skipped: list[Action], after: int) -> None:
        self._flush()
        self._run_action = action
        self._replace_or_pass(failed, after)
        _finish(failed, action)
        is_marked = failed.refusal is None and not self._talk.syncs
        if is_marked:
            self._pos = self._run  # it goes as the end mark
        self._complete(action)
        for other in skipped:
            self._complete(other)
        if is_marked:
            self._mark(after, action)

    def _orphan_error(self, fields: dict[str, str], after: int) -> None:
        self.out.append(Noted("error", _brief(fields)))
        self._pos = after

    def _fatal(self, fields: dict[str, str], after: int) -> None:
        """The upstream ends the session: all that is in flight ends here."""
        self._flush()
        self.fatal = fields.get("sqlstate", "XX000")
        expected = self._talk.expected
        head = next((f.action for f in expected if f.action is not None), self._deferred)
        self._fail(head, fields)
        if head is not None:
            head.response_bytes += after - self._pos
        else:
            self.out.append(Noted("error", _brief(fields)))
        done = self.complete_all(LOST, "the upstream ended the session")
        self._mark(after, done[-1] if done else None)

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
            _finish(flight, action)
        if action is not None:
            action.response_bytes += after - pos
            self.out.append(Completed(action))
        else:
            action = self._group_action
        self._group_action = None
        self._mark(after, action)

    # at any time

    def _notice(self, pos: int, after: int) -> None:
        fields = read_fields(self._buffer, pos + 5, after, self._talk.encoding)
        self.out.append(Noted("notice", _brief(fields)))
        self._pos = after

    def _notification(self, pos: int, after: int) -> None:
        """Waits for its own record: OUTCOME without an action means the records of all steps so far."""
        self._flush()
        buffer, encoding = self._buffer, self._talk.encoding
        channel, start = read_cstring(buffer, pos + 9, after)
        stop = after if self._cut else after - 1
        payload = buffer[start : min(stop, start + self._limits.max_payload_bytes)]
        facts = {
            "channel": channel.decode(encoding, "backslashreplace"),
            "payload": payload.decode(encoding, "backslashreplace"),
            "process_id": str(INT32.unpack_from(buffer, pos + 5)[0]),
        }
        self.out.append(Noted("notification", facts))
        self._pos = self._run = after
        self.out.append(Piece(Side.AGENT, buffer[pos:after], Hold.OUTCOME))

    def _parameter_status(self, pos: int, after: int) -> None:
        name, start = read_cstring(self._buffer, pos + 5, after)
        value, _ = read_cstring(self._buffer, start, after)
        facts = {
            "name": name.decode("utf-8", "backslashreplace"),
            "value": value.decode("utf-8", "backslashreplace"),
        }
        if facts["name"] == "client_encoding":
            self._talk.encoding = ENCODINGS.get(facts["value"], "utf-8")
            self._columns.clear()
        self.out.append(Noted("parameter", facts))
        self._pos = after


def _sync_flight(talk: Conversation) -> Flight | None:
    return talk.expected[1] if talk.expected[1].kind == S else None


def _brief(fields: dict[str, str]) -> dict[str, str]:
    return {name: fields[name][:4096] for name in ("severity", "sqlstate", "message") if name in fields}


def _finish(flight: Flight, action: Action) -> None:
    """The last of an action's fields."""
    if not action.status:
        action.status = "00000"
    if flight.tags:
        action.attributes["tags"] = "; ".join(flight.tags) if len(flight.tags) > 1 else flight.tags[0]
    if len(flight.results) > 1:
        sets = [{"first_row": first, "columns": names} for first, names in flight.results]
        action.attributes["result_sets"] = orjson.dumps(sets).decode()


def _deallocate_all(talk: Conversation, _: Flight) -> None:
    talk.statements.remove_confirmed()


def _discard_all(talk: Conversation, _: Flight) -> None:
    talk.statements.remove_confirmed()
    talk.portals.remove_confirmed()


def _deallocate(talk: Conversation, flight: Flight) -> None:
    """Forget the one name that a plain DEALLOCATE says; any other way leaves all names uncertain."""
    words = flight.action.statement.strip().rstrip(";").split() if flight.action is not None else []
    if len(words) == 3 and words[1].upper() == "PREPARE":
        del words[1]
    if len(words) != 2 or words[0].upper() != "DEALLOCATE":
        talk.statements.is_uncertain = True
        return
    name = words[1]
    name = name[1:-1].replace('""', '"') if name[:1] == '"' else name.lower()
    talk.statements.remove(b"S" + name.encode(talk.encoding, "replace"))


def _prepare(talk: Conversation, _: Flight) -> None:
    talk.statements.is_uncertain = True


def _cursor(talk: Conversation, _: Flight) -> None:
    talk.portals.is_uncertain = True


_NAME_CHANGES: Final[dict[str, Callable[[Conversation, Flight], None]]] = {
    "DEALLOCATE ALL": _deallocate_all,
    "DISCARD ALL": _discard_all,
    "DEALLOCATE": _deallocate,
    "PREPARE": _prepare,
    "DECLARE CURSOR": _cursor,
    "CLOSE CURSOR": _cursor,
    "CLOSE CURSOR ALL": _cursor,
}

_Handler = Callable[[Answers, int, int], None]

_HANDLERS: Final[dict[int, _Handler]] = {
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
