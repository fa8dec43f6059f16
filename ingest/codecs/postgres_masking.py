"""Masks the messages of one PostgreSQL session that policy wants masked, before anything else looks at them: so what is
recorded, counted and digested is what the agent gets.

Rows and COPY data are masked as the action's mask says. Texts of errors, notices and notifications may quote any value:
once an action of a session was masked, they are masked too.
"""

from functools import partial
from struct import Struct
from typing import Final

from librt.strings import read_i32_be

from ingest.codecs.base import Action
from ingest.codecs.postgres_masked_binary_copy import BinaryCopyMask
from ingest.codecs.postgres_masked_copy import CopyMask, check_copies
from ingest.codecs.postgres_masked_names import SessionNames
from ingest.codecs.postgres_masked_rows import count_values, make_columns, mask_rows
from ingest.codecs.postgres_masked_values import CellMasker, Column
from ingest.codecs.postgres_parameters import result_formats
from ingest.codecs.postgres_state import (
    COPY_DATA,
    COPY_DONE,
    DATA_ROW,
    MAYBE_SYNC,
    Columns,
    Conversation,
    E,
    Flight,
)
from ingest.codecs.postgres_wire import WithheldError, message
from masking.inline.model import Report, Unreadable
from masking.inline.values import ValueMasker
from policy.postgres_copy import CopyForm

_HEADER: Final = Struct("!BI")
_ERROR, _NOTICE, _NOTIFICATION, _FUNCTION, _COPY_OUT, _COPY_BOTH = b"ENAVHW"
_TEXTS: Final = frozenset((_ERROR, _NOTICE, _NOTIFICATION))
_MASKED: Final = frozenset((DATA_ROW, COPY_DATA, _FUNCTION, *_TEXTS))
_TEXT_FIELDS: Final = frozenset(b"MDHqW")
_LATER: Final = ("fetch", "execute", "move", "explain")
"""First words of statements that may show what an earlier one has named: a cursor, a prepared statement."""


class _Result:
    """The mask of one flight's answer."""

    def __init__(self, values: ValueMasker, report: Report, statement: str) -> None:
        self.values = values
        self.report = report
        self.statement = statement
        self.made: _Made | None = None
        self.described: object = None  # the description that `made` was made from
        self.forms: list[CopyForm] | None = None
        self.copy: CopyMask | BinaryCopyMask | None = None


class _Made:
    """The columns of the last result, for one of the same statement with the same description. `form`: what they make
    of a row depends on nothing else."""

    def __init__(
        self,
        result: _Result,
        described: Columns | None,
        formats: tuple[int, ...],
        encoding: str,
        columns: list[Column],
    ) -> None:
        self.columns = columns
        self.form = f"{encoding} {[column.signature for column in columns]}".encode()
        self._values = result.values
        self._statement = result.statement
        self._described = described
        self._formats = formats
        self._encoding = encoding

    def fits(
        self, result: _Result, described: Columns | None, formats: tuple[int, ...], encoding: str, count: int
    ) -> bool:
        return (
            self._described is described
            and self._statement is result.statement
            and self._values is result.values
            and self._formats == formats
            and self._encoding == encoding
            and len(self.columns) == count
        )


class SessionMasking:
    """Made with a session's first masked action."""

    def __init__(self, values: ValueMasker) -> None:
        self._values = values
        self._names = SessionNames()
        self._plain = ""  # the last statement that neither copies nor names anything for later ones
        self._made: _Made | None = None

    def adopt(self, action: Action) -> None:
        """An action that is masked itself, or that may show what a masked one has named."""
        if action.mask is not None:
            self._values = action.mask
            if action.statement is not self._plain:
                self._learn(action.mask, action.statement)
        elif action.statement.lstrip().partition(" ")[0].lower() in _LATER:
            action.mask, action.report = self._values, self._values.new_report()
            action.attributes["mask.from"] = "an earlier statement of the session"

    def _learn(self, values: ValueMasker, statement: str) -> None:
        self._made = None
        has_names = self._names.learn(statement)
        has_copies = statement.lstrip()[:4].lower() == "copy" or "copy" in statement[:4096].lower()
        if has_copies:
            check_copies(values, statement)
        self._plain = "" if has_names or has_copies else statement

    def rewrite(
        self, talk: Conversation, buffer: bytes, pos: int, after: int, end: int, is_cut: bool
    ) -> tuple[int, bytes | None]:
        """What stands for the message at `pos`, and those of its kind behind it: where they end, and their masked bytes
        (None: as they are). Raises WithheldError, MalformedError, struct.error."""
        kind = buffer[pos]
        if is_cut and kind in _MASKED and (kind in _TEXTS or self._head(talk) is not None):
            raise WithheldError("a message is too long to be masked")
        try:
            if kind == DATA_ROW:
                return self._rows(talk, buffer, pos, after, end)
            if kind in (COPY_DATA, COPY_DONE, _COPY_OUT, _COPY_BOTH):
                return self._copy(talk, buffer, pos, after, end)
            if kind in (_ERROR, _NOTICE):
                return after, self._fields(talk, buffer, pos, after)
            if kind == _NOTIFICATION:
                return after, self._notification(talk, buffer, pos, after)
            if kind == _FUNCTION:
                return after, self._function(talk, buffer, pos, after)
        except Unreadable as fault:
            raise WithheldError(str(fault)) from None
        return after, None

    # -- results

    def _head(self, talk: Conversation) -> tuple[Flight, _Result] | None:
        """The flight that is answered now, when its answer is masked."""
        for flight in talk.expected:
            if flight.kind != MAYBE_SYNC:
                break
        else:
            return None
        action = flight.action
        if action is None or action.mask is None or action.report is None:
            return None
        result = flight.masked
        if not isinstance(result, _Result):
            result = flight.masked = _Result(action.mask, action.report, action.statement)
        return flight, result

    def _rows(self, talk: Conversation, buffer: bytes, pos: int, after: int, end: int) -> tuple[int, bytes | None]:
        head = self._head(talk)
        if head is None:
            return after, None
        flight, result = head
        made = self._columns(talk, flight, result, count_values(buffer, pos))
        while end - after >= 5 and buffer[after] == DATA_ROW:
            length: int = read_i32_be(buffer, after + 1)
            if length < 6 or after + 1 + length > end:
                break
            after += 1 + length
        values, rows, encoding = result.values, buffer[pos:after], talk.encoding

        def mask(report: Report) -> bytes | None:
            return mask_rows(CellMasker(values, report, encoding), made.columns, rows, 0, len(rows))

        return after, values.mask_result(made.form, rows, result.report, mask)

    def _columns(self, talk: Conversation, flight: Flight, result: _Result, count: int) -> _Made:
        described, formats = self._describe(flight)
        if result.made is None or result.described is not described or len(result.made.columns) < count:
            made = self._made
            if made is None or not made.fits(result, described, formats, talk.encoding, count):
                names = described.names if described is not None else ()
                oids = described.oids if described is not None else ()
                name_of = partial(self._names.find, result.values, result.statement)
                columns = make_columns(name_of, names, oids, formats, count)
                made = self._made = _Made(result, described, formats, talk.encoding, columns)
            result.made = made
            result.described = described
        return result.made

    @staticmethod
    def _describe(flight: Flight) -> tuple[Columns | None, tuple[int, ...]]:
        """The columns of a flight's rows as far as they were described, and their formats."""
        portal = flight.named
        if flight.kind != E:
            return flight.columns, flight.columns.formats if flight.columns is not None else ()
        if portal is None:
            return None, ()
        if portal.columns is not None:
            return portal.columns, portal.columns.formats
        if portal.is_cut:
            raise Unreadable("a Bind is too long to know the form of its results")
        statement = portal.statement
        return (statement.columns if statement is not None else None), result_formats(portal)

    # -- copies

    def _copy(self, talk: Conversation, buffer: bytes, pos: int, after: int, end: int) -> tuple[int, bytes | None]:
        kind = buffer[pos]
        head = self._head(talk)
        if head is None:
            return after, None
        _, result = head
        if kind == _COPY_BOTH:
            raise Unreadable("replication streams are not understood")
        if kind == _COPY_OUT:
            if result.forms is None:
                result.forms = check_copies(result.values, result.statement)
            if not result.forms:
                raise Unreadable("a COPY that the statement does not show")
            form = result.forms.pop(0)
            made = BinaryCopyMask if form.format == "binary" else CopyMask
            name_of = partial(self._names.find, result.values, result.statement)
            result.copy = made(result.values, result.report, form, talk.encoding, name_of)
            return after, None
        if result.copy is None:  # a COPY from the agent
            return after, None
        if kind == COPY_DATA:
            bodies, after = _copy_bodies(buffer, pos, after, end)
            return after, _copy_messages(result.copy.feed(b"".join(bodies)))
        rest = result.copy.finish()
        result.copy = None
        return after, _copy_messages(rest) + buffer[pos:after] if rest else None

    # -- texts

    def _text(self, talk: Conversation, raw: bytes, report: Report, place: str) -> bytes | None:
        """A text of the server masked; None when nothing had to change."""
        encoding = talk.encoding
        content = raw if encoding == "utf-8" else raw.decode(encoding, "backslashreplace").encode()
        outcome = self._values.mask_content(content)
        if outcome is None or not outcome.findings:
            return None
        report.add(outcome.findings, place)
        if encoding == "utf-8":
            return outcome.data
        text = outcome.data.decode("utf-8", "replace")
        try:
            return text.encode(encoding)
        except UnicodeEncodeError:
            return text.replace("‹", "<").replace("›", ">").encode(encoding, "replace")

    def _report(self, talk: Conversation) -> Report:
        head = self._head(talk)
        return head[1].report if head is not None else self._values.new_report()

    def _fields(self, talk: Conversation, buffer: bytes, pos: int, after: int) -> bytes | None:
        """An ErrorResponse or NoticeResponse."""
        fields = buffer[pos + 5 : after].split(b"\0")
        report = self._report(talk)
        is_changed = False
        for index, field in enumerate(fields):
            if field and field[0] in _TEXT_FIELDS:
                shown = self._text(talk, field[1:], report, "error" if buffer[pos] == _ERROR else "notice")
                if shown is not None:
                    fields[index] = field[:1] + shown.replace(b"\0", b" ")
                    is_changed = True
        return message(buffer[pos : pos + 1], b"\0".join(fields)) if is_changed else None

    def _notification(self, talk: Conversation, buffer: bytes, pos: int, after: int) -> bytes | None:
        channel, _, payload = buffer[pos + 9 : after].partition(b"\0")
        shown = self._text(talk, payload.removesuffix(b"\0"), self._report(talk), "notification")
        if shown is None:
            return None
        return message(b"A", buffer[pos + 5 : pos + 9] + channel + b"\0" + shown.replace(b"\0", b" ") + b"\0")

    def _function(self, talk: Conversation, buffer: bytes, pos: int, after: int) -> bytes | None:
        """A FunctionCallResponse: of no known type, in a form that the request chose."""
        head = self._head(talk)
        if head is None or after - pos <= 9:
            return None
        _, result = head
        cells = CellMasker(result.values, result.report, talk.encoding)
        column = make_columns(result.values.name_of, ("function result",), (0,), (1,), 1)[0]
        (put,) = cells.mask([(column, buffer[pos + 9 : after])])
        if put is None:
            return None
        return message(b"V", b"\xff\xff\xff\xff" if put.data is None else Struct("!i").pack(len(put.data)) + put.data)


def _copy_bodies(buffer: bytes, pos: int, after: int, end: int) -> tuple[list[bytes], int]:
    """The data of the CopyData message at `pos` and of all whole ones behind it, and where they end."""
    bodies = [buffer[pos + 5 : after]]
    while end - after >= 5:
        kind, length = _HEADER.unpack_from(buffer, after)
        following = after + 1 + length
        if kind != COPY_DATA or length < 4 or following > end:
            break
        bodies.append(buffer[after + 5 : following])
        after = following
    return bodies, after


def _copy_messages(records: list[bytes]) -> bytes:
    """A message a record, as servers send them and clients expect them."""
    return b"".join(message(b"d", record) for record in records)
