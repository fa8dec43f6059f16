"""A PostgreSQL server's own log as sightings: plain (stderr, syslog files), csvlog, jsonlog, pgaudit in any.

A statement may be told several times: by log_statement, by a duration, by pgaudit, by the error it ended with. The
first kind that a log shows is the one that counts; the others are counted as ignored.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from console.reconcile.postgres_prefix import compile_prefix
from console.reconcile.shapes import shown_statement, split_statements, statement_shape
from console.reconcile.sighting import MAX_LINE_BYTES, Reading, Sighting
from console.reconcile.times import UnknownZone, parse_any, parse_local
from ingest.codecs.postgres_wire import FAILING_QUERY

DEFAULT_PREFIX: Final = "%m [%p] "
SYNTAX_ERROR: Final = "42601"
MAX_SESSIONS: Final = 10_000
REFUSAL: Final = FAILING_QUERY[5:-1].decode()
"""What the proxy sends in the place of a refused statement, so that a transaction fails on both sides."""
HEAD_CHARS: Final = 4096

_STATEMENT: Final = re.compile(r"(?:statement|execute (?:fetch from )?\S{1,130}): (.*)", re.DOTALL)
_DURATION: Final = re.compile(r"duration: [\d.]+ ms(?:  (.*))?", re.DOTALL)
_STEP: Final = re.compile(r"(?:parse|bind) \S{1,130}: ")
_SEVERITIES: Final = frozenset(
    "DEBUG DEBUG1 DEBUG2 DEBUG3 DEBUG4 DEBUG5 LOG INFO NOTICE WARNING ERROR FATAL PANIC "
    "DETAIL HINT QUERY CONTEXT LOCATION BACKTRACE STATEMENT".split()
)
CSV_FIELDS: Final = 23
"""Columns up to application_name; newer servers have more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of the server. `statement`: what an error was about."""

    at: int
    line: int
    severity: str
    message: str
    user: str = ""
    database: str = ""
    source: str = ""
    session: str = ""
    sqlstate: str = ""
    statement: str = ""


def read_postgres_log(
    lines: Iterable[tuple[int, str]], reading: Reading, prefix: str = DEFAULT_PREFIX, zone: ZoneInfo | None = None
) -> Iterator[Sighting]:
    """Sightings of a log whose form its first line tells. Raises ConfigError for a zone or prefix that is not known."""
    lines = iter(lines)
    first = next(lines, None)
    if first is None:
        return
    whole = _chain(first, lines)
    if first[1].startswith("{"):
        entries = read_json(whole, reading, zone)
    elif re.match(r"\d{4}-\d\d-\d\d [^,]{8,30},(?:\"|,)", first[1]):
        entries = read_csv(whole, reading, zone)
    else:
        entries = read_plain(whole, reading, prefix, zone)
    yield from Telling(reading).sightings(entries)


def _chain(first: tuple[int, str], rest: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    yield first
    yield from rest


def read_plain(
    lines: Iterable[tuple[int, str]], reading: Reading, prefix: str, zone: ZoneInfo | None
) -> Iterator[Entry]:
    """Lines with log_line_prefix. The server begins the further lines of a message with a tab, so none is forged.

    The server's default prefix is taken, too: a log may begin before the prefix was set.
    """
    patterns = [compile_prefix(text) for text in dict.fromkeys((prefix, DEFAULT_PREFIX))]
    held: Entry | None = None
    parts: list[str] = []
    size = 0
    for number, line in lines:
        if line.startswith("\t") and held is not None:
            size += len(line)
            if size <= MAX_LINE_BYTES:
                parts.append(line[1:])
            continue
        if held is not None:
            yield _joined(held, parts)
        held, parts, size = _plain_entry(patterns, number, line, zone), [], len(line)
        if held is None:
            reading.cannot_read(number)
    if held is not None:
        yield _joined(held, parts)


def _plain_entry(patterns: list[re.Pattern[str]], number: int, line: str, zone: ZoneInfo | None) -> Entry | None:
    found = next((match for pattern in patterns if (match := pattern.fullmatch(line[:HEAD_CHARS]))), None)
    if not found or found["severity"] not in _SEVERITIES:
        return None
    fields = found.groupdict(default="")
    try:
        at = parse_local(fields["time"], zone) if fields.get("time") else parse_any(fields["epoch"])
    except UnknownZone:
        raise
    except ValueError:
        return None
    return Entry(
        at,
        number,
        fields["severity"],
        fields["message"] + line[HEAD_CHARS:],
        fields.get("user", ""),
        fields.get("database", ""),
        fields.get("source") or fields.get("host", ""),
        fields.get("session") or fields.get("pid", ""),
        fields.get("sqlstate", ""),
    )


def _joined(entry: Entry, parts: list[str]) -> Entry:
    if not parts:
        return entry
    return Entry(
        entry.at, entry.line, entry.severity, "\n".join([entry.message, *parts]), entry.user, entry.database,
        entry.source, entry.session, entry.sqlstate,
    )  # fmt: skip


def read_csv(lines: Iterable[tuple[int, str]], reading: Reading, zone: ZoneInfo | None) -> Iterator[Entry]:
    """csvlog. A message may run over lines; one that never ends is cut at MAX_LINE_BYTES and counted as unread."""
    held: list[str] = []
    size = begin = quotes = 0
    for number, line in lines:
        begin = begin if held else number
        held.append(line)
        size += len(line)
        quotes += line.count('"')
        if quotes % 2 and size <= MAX_LINE_BYTES:
            continue
        entry = _csv_entry(begin, "\n".join(held), zone) if size <= MAX_LINE_BYTES else None
        held, size, quotes = [], 0, 0
        if entry is None:
            reading.cannot_read(begin)
        else:
            yield entry
    if held:
        reading.cannot_read(begin)


def _csv_entry(number: int, text: str, zone: ZoneInfo | None) -> Entry | None:
    try:
        row = next(csv.reader([text], strict=True), [])
        if len(row) < CSV_FIELDS or row[11] not in _SEVERITIES:
            return None
        at = parse_local(row[0], zone)
    except UnknownZone:
        raise
    except (csv.Error, ValueError):
        return None
    return Entry(at, number, row[11], row[13], row[1], row[2], _host(row[4]), row[5], row[12], row[19])


def read_json(lines: Iterable[tuple[int, str]], reading: Reading, zone: ZoneInfo | None) -> Iterator[Entry]:
    """jsonlog: one object a line."""
    for number, line in lines:
        entry = _json_entry(number, line, zone)
        if entry is None:
            reading.cannot_read(number)
        else:
            yield entry


def _json_entry(number: int, line: str, zone: ZoneInfo | None) -> Entry | None:
    try:
        row = json.loads(line)
        text = {name: value for name, value in row.items() if isinstance(value, str)}
        at = parse_local(text["timestamp"], zone)
        severity = text["error_severity"]
    except UnknownZone:
        raise
    except (ValueError, KeyError, AttributeError, RecursionError):
        return None
    if severity not in _SEVERITIES:
        return None
    session = text.get("session_id", "") or str(row.get("pid", ""))
    return Entry(
        at, number, severity, text.get("message", ""), text.get("user", ""), text.get("dbname", ""),
        text.get("remote_host", ""), session, text.get("state_code", ""), text.get("statement", ""),
    )  # fmt: skip


def _host(address: str) -> str:
    """Without the port, as csvlog puts it behind a colon."""
    host, _, port = address.rpartition(":")
    return host if host and port.isdecimal() else address


class Telling:
    """Which of a log's messages tell a statement, each statement once."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._kind = ""
        self._failed: dict[str, Entry] = {}  # by session, the error whose STATEMENT line follows
        self._absorbed: dict[
            str, tuple[str, int]
        ] = {}  # by session, a text of several statements and how many are left

    def sightings(self, entries: Iterable[Entry]) -> Iterator[Sighting]:
        """In the log's order."""
        for entry in entries:
            text = self._statement(entry)
            if text == REFUSAL:
                self._reading.ignore("refused by Custody")
            elif text is not None:
                yield Sighting(
                    entry.at, statement_shape(text), shown_statement(text), entry.user, entry.database, entry.source,
                    entry.session, entry.sqlstate, entry.line,
                )  # fmt: skip

    def _statement(self, entry: Entry) -> str | None:
        """The statement that a message tells; None for all others."""
        match entry.severity:
            case "LOG":
                return self._told(entry)
            case "ERROR":
                if entry.statement:
                    return self._of_error(entry, entry.statement)
                if len(self._failed) >= MAX_SESSIONS:
                    self._failed.clear()
                self._failed[entry.session] = entry
            case "STATEMENT":
                error = self._failed.pop(entry.session, None)
                return self._of_error(error, entry.message) if error is not None else None
        return None

    def _told(self, entry: Entry) -> str | None:
        message = entry.message
        if message.startswith("AUDIT: "):
            return self._counted("audit", self._audited(entry.session, message))
        if duration := _DURATION.fullmatch(message):
            inner = duration[1] or ""
            told = _STATEMENT.fullmatch(inner)
            if told:
                return self._counted("duration", told[1])
            self._reading.ignore("step of a statement" if _STEP.match(inner) else "duration alone")
            return None
        told = _STATEMENT.fullmatch(message)
        return self._counted("statement", told[1]) if told else None

    def _counted(self, kind: str, text: str | None) -> str | None:
        if text is None:
            return None
        self._kind = self._kind or kind
        if kind != self._kind:
            self._reading.ignore(f"told again by {kind}")
            return None
        return text

    def _of_error(self, error: Entry, text: str) -> str | None:
        """A statement that failed. log_statement told it before, unless it could not even be read."""
        is_unread = error.sqlstate == SYNTAX_ERROR or error.message.startswith(("syntax error", "unterminated"))
        if self._kind == "duration" or is_unread:
            return text
        self._reading.ignore("error of a statement")
        return None

    def _audited(self, session: str, message: str) -> str | None:
        """The statement of a pgaudit line; None for its further objects and parts."""
        row = next(csv.reader([message.removeprefix("AUDIT: ")]), [])
        if len(row) < 8 or row[0] != "SESSION":
            self._reading.ignore("audited object")
            return None
        if row[2] != "1":
            self._reading.ignore("audited part")
            return None
        text, left = self._absorbed.get(session, ("", 0))
        if left and text == row[7]:
            self._absorbed[session] = (text, left - 1)
            self._reading.ignore("audited part")
            return None
        if len(self._absorbed) >= MAX_SESSIONS:
            self._absorbed.clear()
        self._absorbed[session] = (row[7], len(split_statements(row[7])) - 1)
        return row[7]
