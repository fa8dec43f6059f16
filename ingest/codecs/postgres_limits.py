"""Withholds rows of one PostgreSQL session beyond what policy allows an action, before anything else looks at them:
what is masked, recorded, counted and digested is what the agent gets.

The limit holds for all results of an action together, over all Executes of one portal, and over all FETCHes from one
cursor. A cursor or prepared statement that was named under a limit keeps it. What follows the last row is as it must
be: the tag says how many rows have passed, and a portal of which rows were withheld is complete.
"""

import re
from collections.abc import Callable
from struct import Struct
from typing import Final

from ingest.codecs.base import Action
from ingest.codecs.postgres_copy_records import Records, records_of
from ingest.codecs.postgres_state import COPY_DATA, COPY_DONE, DATA_ROW, MAYBE_SYNC, Conversation, E, Flight, Masking, Q
from ingest.codecs.postgres_wire import WithheldError, message
from policy.postgres_copy import CopyForm, copy_forms
from policy.postgres_cursors import Use, name_uses

_HEADER: Final = Struct("!BI")
_COPY_OUT, _COPY_BOTH, _COMPLETE, _SUSPENDED = b"HWCs"
_COUNTED: Final = re.compile(rb"(SELECT|FETCH|COPY) [0-9]+")
_NO_USE: Final = Use()
MAX_NAMES: Final = 10_000


class _Cursor:
    """A cursor as SQL names it. `limit` 0: none."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.passed = 0


class _Answer:
    """What has passed of the answer that comes now."""

    def __init__(self, flight: Flight, action: Action) -> None:
        self.flight = flight
        self.action = action
        self.uses = name_uses(action.statement)
        self.index = 0  # of the statement whose result comes
        self.passed = 0
        self.withheld = 0
        self.set_passed = 0
        self.set_withheld = 0
        self.forms: list[CopyForm] | None = None
        self.copy: Records | None = None

    @property
    def use(self) -> Use:
        """What the present statement names; what is not understood may fetch from anything."""
        if self.uses is None:
            return Use("fetch")
        return self.uses[self.index] if self.index < len(self.uses) else _NO_USE


class SessionLimits:
    """Made with a session's first limited action. `inner` masks what passes."""

    def __init__(self, inner: Masking | None) -> None:
        self.inner = inner
        self._least = 0  # the smallest limit of the session: it holds for names of unknown origin
        self._cursors: dict[str, _Cursor] = {}
        self._prepared: dict[str, int] = {}
        self._answer: _Answer | None = None

    def adopt(self, action: Action) -> None:
        """An action of the session, before it is forwarded. Raises Unreadable."""
        limit = action.row_limit
        if limit and (limit < self._least or not self._least):
            self._least = limit
        if self.inner is not None:
            self.inner.adopt(action)

    def rewrite(
        self, talk: Conversation, buffer: bytes, pos: int, after: int, end: int, is_cut: bool
    ) -> tuple[int, bytes | None]:
        """As SessionMasking.rewrite."""
        handle = _HANDLERS.get(buffer[pos])
        answer = self._find(talk) if handle is not None else None
        if handle is None or answer is None:
            return self._hand_on(talk, buffer, pos, after, end, is_cut)
        return handle(self, talk, answer, buffer, pos, after, end, is_cut)

    def _hand_on(
        self, talk: Conversation, buffer: bytes, pos: int, after: int, end: int, is_cut: bool
    ) -> tuple[int, bytes | None]:
        if self.inner is None:
            return after, None
        return self.inner.rewrite(talk, buffer, pos, after, end, is_cut)

    def _masked(self, talk: Conversation, data: bytes) -> bytes:
        """Whole messages of one kind, masked."""
        if not data or self.inner is None:
            return data
        masked = self.inner.rewrite(talk, data, 0, 1 + _HEADER.unpack_from(data)[1], len(data), False)[1]
        return data if masked is None else masked

    # -- how many rows may pass

    def _find(self, talk: Conversation) -> _Answer | None:
        flight = next((flight for flight in talk.expected if flight.kind != MAYBE_SYNC), None)
        if flight is None or flight.action is None or flight.kind not in (Q, E):
            return None
        if self._answer is None or self._answer.action is not flight.action:
            self._answer = _Answer(flight, flight.action)
        return self._answer

    def _room(self, talk: Conversation, answer: _Answer) -> int | None:
        """How many more rows may pass; None: any number."""
        rooms: list[int] = []
        limit, named = answer.action.row_limit, answer.flight.named
        is_unknown = answer.flight.kind == E and named is None
        if limit or is_unknown:
            rooms.append((limit or self._least) - (answer.passed if named is None else named.passed))
        use = answer.use
        if use.what == "execute" and (limit := self._prepared.get(use.name, self._least)):
            rooms.append(limit - answer.set_passed)
        if use.what == "fetch":
            cursor = self._cursor(use.name)
            if cursor.limit:
                rooms.append(cursor.limit - self._fetched(talk, use.name, cursor))
        return max(0, min(rooms)) if rooms else None

    def _cursor(self, name: str) -> _Cursor:
        found = self._cursors.get(name)
        if found is None:
            found = _Cursor(self._least)
            self._keep(name, found)
        return found

    @staticmethod
    def _fetched(talk: Conversation, name: str, cursor: _Cursor) -> int:
        """Rows that have passed of a cursor, also where the protocol calls it a portal."""
        portal = talk.portals.find(b"P" + name.encode(talk.encoding, "replace"))
        return cursor.passed + (portal.passed if portal is not None else 0)

    def _keep(self, name: str, cursor: _Cursor) -> None:
        if len(self._cursors) >= MAX_NAMES:  # the others are of unknown origin from now on, and one to the limit
            self._cursors = {"": _Cursor(self._least)}
        self._cursors[name] = cursor

    def _count(self, answer: _Answer, passed: int, withheld: int) -> None:
        answer.passed += passed
        answer.set_passed += passed
        answer.withheld += withheld
        answer.set_withheld += withheld
        if answer.flight.kind == E and answer.flight.named is not None:
            answer.flight.named.passed += passed
        use = answer.use
        if use.what == "fetch" and use.name in self._cursors:
            self._cursors[use.name].passed += passed
        if withheld:
            action = answer.action
            action.withheld = answer.withheld
            action.attributes["limit.withheld"] = str(answer.withheld)
            action.attributes["limit.upstream_rows"] = str(answer.passed + answer.withheld)

    # -- messages

    def _rows(
        self, talk: Conversation, answer: _Answer, buffer: bytes, pos: int, after: int, end: int, is_cut: bool
    ) -> tuple[int, bytes | None]:
        """This DataRow and all whole ones behind it."""
        room = self._room(talk, answer)
        if room is None:
            return self._hand_on(talk, buffer, pos, after, end, is_cut)
        if is_cut:
            if not room:
                raise WithheldError("a row is too long to be withheld")
            self._count(answer, 1, 0)
            return self._hand_on(talk, buffer, pos, after, end, is_cut)
        kept, stop, count = after if room else pos, after, 1
        while end - stop >= 5:
            kind, length = _HEADER.unpack_from(buffer, stop)
            if kind != DATA_ROW or length < 6 or stop + 1 + length > end:
                break
            stop += 1 + length
            count += 1
            if count <= room:
                kept = stop
        passed = min(count, room)
        self._count(answer, passed, count - passed)
        if passed == count:
            masked = self._masked(talk, buffer[pos:stop]) if self.inner is not None else None
            return stop, masked
        return stop, self._masked(talk, buffer[pos:kept])

    def _copy_begins(
        self, talk: Conversation, answer: _Answer, buffer: bytes, pos: int, after: int, end: int, is_cut: bool
    ) -> tuple[int, bytes | None]:
        answer.copy = None
        if self._room(talk, answer) is not None:
            if buffer[pos] == _COPY_BOTH:
                raise WithheldError("replication streams cannot be limited")
            if answer.forms is None:
                answer.forms = copy_forms(answer.action.statement)
            if not answer.forms:
                raise WithheldError("a COPY that the statement does not show cannot be limited")
            answer.copy = records_of(answer.forms.pop(0), talk.encoding)
        return self._hand_on(talk, buffer, pos, after, end, is_cut)

    def _copy_data(
        self, talk: Conversation, answer: _Answer, buffer: bytes, pos: int, after: int, end: int, is_cut: bool
    ) -> tuple[int, bytes | None]:
        """This CopyData and all whole ones behind it."""
        if answer.copy is None:
            return self._hand_on(talk, buffer, pos, after, end, is_cut)
        if is_cut:
            raise WithheldError("copy data is too long to be limited")
        shown: list[bytes] = []
        is_whole = True
        start = pos
        while True:
            room = self._room(talk, answer) or 0
            data = buffer[start + 5 : after]
            count, cut = answer.copy.take(data, room)
            passed = min(count, room)
            self._count(answer, passed, count - passed)
            is_whole = is_whole and cut == len(data)
            if cut:
                shown.append(message(b"d", data[:cut]))
            start = after
            if end - start < 5:
                break
            kind, length = _HEADER.unpack_from(buffer, start)
            if kind != COPY_DATA or length < 4 or start + 1 + length > end:
                break
            after = start + 1 + length
        if is_whole and self.inner is None:
            return start, None
        return start, self._masked(talk, buffer[pos:start] if is_whole else b"".join(shown))

    def _copy_ends(
        self, talk: Conversation, answer: _Answer, buffer: bytes, pos: int, after: int, end: int, is_cut: bool
    ) -> tuple[int, bytes | None]:
        rest = answer.copy.finish() if answer.copy is not None else b""
        answer.copy = None
        if not rest:
            return self._hand_on(talk, buffer, pos, after, end, is_cut)
        return after, self._masked(talk, message(b"d", rest)) + self._masked(talk, buffer[pos:after])

    def _completes(
        self, talk: Conversation, answer: _Answer, buffer: bytes, pos: int, after: int, end: int, is_cut: bool
    ) -> tuple[int, bytes | None]:
        """CommandComplete: the statement's own end."""
        tag = buffer[pos + 5 : after - 1]
        use, limit = answer.use, answer.action.row_limit
        if use.what == "declare" and tag == b"DECLARE CURSOR":
            self._keep(use.name, _Cursor(limit))
        elif use.what == "prepare" and tag == b"PREPARE":
            if len(self._prepared) >= MAX_NAMES:
                self._prepared.clear()
            self._prepared[use.name] = limit
        passed, withheld = answer.set_passed, answer.set_withheld
        answer.set_passed = answer.set_withheld = 0
        answer.index += 1
        if not withheld:
            return self._hand_on(talk, buffer, pos, after, end, is_cut)
        counted = _COUNTED.fullmatch(tag)
        return after, message(b"C", b"%s %d\0" % (counted[1], passed)) if counted is not None else None

    def _suspends(
        self, talk: Conversation, answer: _Answer, buffer: bytes, pos: int, after: int, end: int, is_cut: bool
    ) -> tuple[int, bytes | None]:
        """PortalSuspended: nothing more comes of a portal of which rows were withheld."""
        if not answer.set_withheld or "returning" in answer.action.statement.lower():
            return after, None
        word = b"FETCH" if answer.use.what == "fetch" else b"SELECT"
        return after, message(b"C", b"%s %d\0" % (word, answer.set_passed))


_Handler = Callable[[SessionLimits, Conversation, _Answer, bytes, int, int, int, bool], tuple[int, bytes | None]]
_HANDLERS: Final[dict[int, _Handler]] = {
    DATA_ROW: SessionLimits._rows,
    COPY_DATA: SessionLimits._copy_data,
    COPY_DONE: SessionLimits._copy_ends,
    _COPY_OUT: SessionLimits._copy_begins,
    _COPY_BOTH: SessionLimits._copy_begins,
    _COMPLETE: SessionLimits._completes,
    _SUSPENDED: SessionLimits._suspends,
}
