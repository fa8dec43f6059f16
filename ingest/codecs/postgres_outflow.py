"""The upstream's half of the PostgreSQL conversation: bytes, runs, and what waits for which record.

Answer bytes gather into one piece per run; a run ends before an end mark and at the end of the bytes read.
"""

from collections.abc import Callable
from struct import error as StructError
from typing import Any, Final

import orjson
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
    Piece,
    Progressed,
    Step,
)
from ingest.codecs.postgres_state import (
    COPY_DATA,
    DATA_ROW,
    MASKED_MESSAGE_BYTES,
    MAYBE_SYNC,
    Columns,
    Conversation,
    D,
    Flight,
    Masking,
    S,
    add_digest,
)
from ingest.codecs.postgres_wire import UPSTREAM_LENGTHS, MalformedError

Handlers = dict[int, Callable[[Any, int, int], None]]
MAX_PARTS: Final = 4096
SMALL_PIECE: Final = 16_384  # below it a copy is cheaper than keeping the whole read alive


MASKED_KINDS: Final = frozenset(b"DdcHWVENACs")
"""What masks and limits look at: messages with values in them, those around a COPY, and the ends of results."""


class Outflow:
    """Bytes of the upstream in, steps out (`out`); takes the expected answers off the conversation.

    `handlers` is the table of messages: type -> method(self, start, end).
    """

    def __init__(self, talk: Conversation, handlers: Handlers) -> None:
        self._handlers = handlers
        self.out: list[Step] = []
        self.fatal = ""  # the SQLSTATE of an error that ends the session
        self._talk = talk
        self._limits = talk.limits
        self._buffer = b""
        self._run = self._pos = self._end = 0
        self._parts: list[bytes] = []
        self._part_bytes = 0
        self._needed = 0
        self._usual = min(65_535, talk.limits.max_message_bytes - 1)  # longer ones need a closer look
        self._cut = 0
        self._masked_to = 0  # how far the buffer holds what the agent may see, where answers are masked
        self._stream: tuple[Hold, Action | None, bool, bool] | None = None
        self._stream_left = 0
        self._run_action: Action | None = None
        self._group_action: Action | None = None  # the last one completed since a ReadyForQuery
        self._deferred: Action | None = None  # done, but the Sync behind it may still fail to commit
        self._columns: dict[bytes, Columns] = {}

    @property
    def backlog(self) -> int:
        if self._needed > self._limits.max_message_bytes:  # a long message that must be whole to be masked: read on
            return 0
        return self._end - self._run + self._part_bytes

    @property
    def is_within_message(self) -> bool:
        """Whether the agent has the beginning of a long message, and waits for its rest."""
        return self._stream_left > 0

    def take(self) -> list[Step]:
        """The steps so far, which are no longer in `out`."""
        out, self.out = self.out, []
        return out

    def receive(self, data: bytes) -> None:
        if self._part_bytes:
            self._parts.append(data)
            self._part_bytes += len(data)
            if len(self._parts) > MAX_PARTS:  # many tiny reads: a list of them costs more than their bytes
                self._parts = [b"".join(self._parts)]
        else:
            self._buffer = data
            self._run = self._pos = self._masked_to = 0
            self._end = len(data)

    def advance(self) -> None:
        """Use up the bytes. MalformedError: `take_rest` has what is left."""
        if self._part_bytes and not self._load():
            return
        if self._pos == self._end:
            return
        try:
            self._scan()
        except MalformedError:
            raise
        except (StructError, IndexError, ValueError) as error:
            raise MalformedError("malformed message") from error
        self._flush()
        if self._pos < self._end:
            self._parts.append(self._buffer[self._pos : self._end])
            self._part_bytes = self._end - self._pos
        self._buffer = b""
        self._run = self._pos = self._end = self._masked_to = 0

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

    def _load(self) -> bool:
        if self._part_bytes < self._needed:
            return False
        self._buffer = b"".join(self._parts)
        self._parts.clear()
        self._part_bytes = self._needed = 0
        self._run = self._pos = self._masked_to = 0
        self._end = len(self._buffer)
        return True

    def _scan(self) -> None:
        buffer, end = self._buffer, self._end
        handlers, usual = self._handlers, self._usual
        while True:
            pos = self._pos
            if self._stream_left:
                if not self._pass_stream():
                    return
                continue
            if end - pos < 5:
                self._needed = 5
                return
            kind = buffer[pos]
            length = read_i32_be(buffer, pos + 1)
            after = pos + 1 + length
            handle = handlers.get(kind)
            if handle is None or length < 4:
                raise MalformedError(f"no message of type 0x{kind:02x} or length {length} is expected from a server")
            if after > end or length > usual:
                if length > UPSTREAM_LENGTHS[kind]:
                    raise MalformedError("a message is too long")
                limit = self._limits.max_message_bytes if self._talk.masking is None else MASKED_MESSAGE_BYTES
                if length >= limit:
                    if end - pos < limit:
                        self._needed = limit
                        return
                    self._cut = after - pos - limit
                    after = pos + limit
                elif after > end:
                    self._needed = length + 1
                    return
            if self._talk.masking is not None and pos >= self._masked_to and kind in MASKED_KINDS:
                self._mask(self._talk.masking, pos, after)
                buffer, end = self._buffer, self._end
                continue
            handle(self, pos, after)
            if self._cut:
                self._begin_stream(kind)

    def _mask(self, masking: Masking, pos: int, after: int) -> None:
        """Put what the agent may see in the place of the message at `pos`, and of those of its kind behind it."""
        stop, masked = masking.rewrite(self._talk, self._buffer, pos, after, self._end, self._cut > 0)
        self._masked_to = stop
        if masked is None:
            return
        self._buffer = b"".join((self._buffer[:pos], masked, self._buffer[stop : self._end]))
        self._end = len(self._buffer)
        self._masked_to = pos + len(masked)

    def _begin_stream(self, kind: int) -> None:
        """A long message: its head is dealt with, the rest goes the same way."""
        action = self._run_action
        if self._run == self._pos and self.out and isinstance(self.out[-1], Piece):  # the head was an end mark
            hold, action = self.out[-1].hold, self.out[-1].action
        else:
            hold = NO_HOLD if action is None else HOLD_REQUEST
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
        if (
            action is not None and hold is not HOLD_OUTCOME
        ):  # a long end mark was counted before the action was complete
            action.response_bytes += len(data)
            if is_payload:
                add_digest(self._talk, action, data)
            if is_copy:
                self.out.append(Progressed(action, UPSTREAM, data))
        self.out.append(Piece(AGENT, data, hold, action))
        return True

    def _flush(self) -> None:
        """Hand on the run up to `_pos`."""
        run, pos = self._run, self._pos
        if run < pos:
            self._run = pos
            action = self._run_action
            if action is None:
                self.out.append(Piece(AGENT, self._slice(run, pos)))
            else:
                self.out.append(Piece(AGENT, self._slice(run, pos), HOLD_REQUEST, action))

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
            self.out.append(Piece(AGENT, self._buffer[pos:after], HOLD_OUTCOME, action))
        else:
            self.out.append(Piece(AGENT, self._buffer[pos:after]))

    def _head(self, kinds: tuple[int, ...], size: int) -> Flight:
        """The request that a message of `size` bytes answers; they are counted for its action."""
        expected = self._talk.expected
        flight = expected[0] if expected else None
        while flight is not None and flight.kind == MAYBE_SYNC:
            expected.popleft()
            flight = expected[0] if expected else None
        if flight is None or flight.kind not in kinds:
            raise MalformedError("an answer that no request has asked for")
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
        if action is None:
            self._pos = after
            return
        finish(flight, action)
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


def finish(flight: Flight, action: Action) -> None:
    """The last of an action's fields."""
    if not action.status:
        action.status = "00000"
    if flight.tags:
        action.attributes["tags"] = "; ".join(flight.tags) if len(flight.tags) > 1 else flight.tags[0]
    if len(flight.results) > 1:
        sets = [{"first_row": first, "columns": names} for first, names in flight.results]
        action.attributes["result_sets"] = orjson.dumps(sets).decode()
