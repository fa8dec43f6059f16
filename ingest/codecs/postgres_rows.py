"""Result rows of a PostgreSQL answer: counted and digested all, kept as text up to the limits."""

from typing import Final

from ingest.codecs.base import Action
from ingest.codecs.postgres_outflow import Outflow
from ingest.codecs.postgres_parameters import result_formats
from ingest.codecs.postgres_state import DATA_ROW, Columns, D, E, F, Flight, Limits, Q, add_digest
from ingest.codecs.postgres_types import TEXTUAL, Decode, decoder, render, render_hex
from ingest.codecs.postgres_wire import MalformedError, cut, int32, read_cstring, uint16, uint32

MAX_CACHED_COLUMNS: Final = 64
MAX_RESULT_SETS: Final = 20


def kept_of(action: Action, limits: Limits) -> tuple[int, int]:
    """How many rows and bytes of an answer are recorded."""
    keep = action.keep
    if keep is None:
        return limits.max_rows, limits.max_payload_bytes
    max_bytes = limits.max_payload_bytes if keep.bytes < 0 else keep.bytes
    return limits.max_rows if keep.rows < 0 else keep.rows, max_bytes


class Rows(Outflow):
    """RowDescription, DataRow, FunctionCallResponse."""

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
            flight.results += ((len(action.row_values), columns.names),)
        flight.columns = columns
        flight.decoders = self._choose_decoders(action, columns, formats)

    def _choose_decoders(
        self, action: Action, columns: Columns, formats: tuple[int, ...]
    ) -> list[Decode | None] | None:
        """How each column becomes text; None when all are text already."""
        if columns.is_text if formats is columns.formats else not any(formats):
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
        count = uint16(raw, 0)
        place = 2
        names: list[str] = []
        oids: list[int] = []
        formats: list[int] = []
        try:
            for _ in range(count):
                name, place = read_cstring(raw, place, len(raw))
                names.append(name.decode(self._talk.encoding, "backslashreplace"))
                oids.append(uint32(raw, place + 6))
                formats.append(uint16(raw, place + 16))
                place += 18
        except (MalformedError, IndexError):
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
                kind = buffer[pos]
                length = int32(buffer, pos + 1)
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
        if portal is not None and portal.columns is not None:
            self._begin_result(flight, portal.columns, portal.columns.formats)
            return
        formats = result_formats(portal) if portal is not None else ()
        if statement is not None and statement.columns is not None:
            self._begin_result(flight, statement.columns, formats)
            return
        flight.columns = Columns([], (), ())
        if any(formats) and flight.action is not None:  # never described: the types are not known
            count = uint16(self._buffer, self._pos + 5)
            codes = formats * count if len(formats) == 1 else formats
            flight.decoders = [render_hex if code else None for code in codes]
            flight.action.attributes["undecoded_columns"] = "all"

    def _keep_row(self, flight: Flight, action: Action, start: int, after: int) -> None:
        max_rows, max_bytes = kept_of(action, self._limits)
        flight.kept_bytes += after - start
        if len(action.row_values) >= max_rows or flight.kept_bytes > max_bytes:
            flight.is_keeping = False
            action.is_truncated = True
            return
        buffer, encoding, decoders = self._buffer, self._talk.encoding, flight.decoders
        count = uint16(buffer, start)
        start += 2
        row: list[str | None] = []
        for index in range(count):
            size = int32(buffer, start)
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

    def _function_result(self, pos: int, after: int) -> None:
        flight = self._head((F,), after - pos)
        action = flight.action
        self._pos = after
        if action is None:
            return
        size = int32(self._buffer, pos + 5)
        raw = cut(self._buffer, pos + 9, after)
        max_rows, max_bytes = kept_of(action, self._limits)
        if len(raw) > max_bytes or max_rows == 0 or self._cut:
            action.is_truncated = True
            raw = raw[:max_bytes]
        action.rows = 1
        if max_rows > 0:
            action.row_values.append([None if size < 0 else render_hex(raw)])
        add_digest(self._talk, action, self._buffer[pos:after])
