"""Erasing events of a session from the store, so that no file of it has them any more.

An order names a session and, if not all of it, numbers of events. It is refused inside the least age of their class
and under a legal hold. The partitions concerned are written down before anything is deleted, so that a successor knows
them; DELETE is a mutation that is waited for, and the order is done when every part that had the rows is gone from the
disk.
"""

# ruff: noqa: S608 - tables and columns are constants, numbers are numbers, every text passes `quote`

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

from schemas.config import Retention
from schemas.holds import HELD, require_two
from sinks.clickhouse.client import StoreClient, Table
from sinks.clickhouse.holding import ReadHolds, quote, select_held_events
from sinks.transparency.orders import Seqs, parse_seqs

TOUCHED: Final = "clickhouse.erase"
"""`progress` rows of this sink: log_id is the order, table and partition that an erasure touches."""
_SESSION: Final = re.compile(r"[^\x00-\x1f\x7f]{1,256}")
_PLACE: Final = re.compile(r"(events|sessions|detections|lineage)/([A-Za-z0-9_.+-]{1,4160})/([0-9]{8})", re.ASCII)
DAYS: Final[Mapping[str, str]] = {"events": "at", "sessions": "opened_at", "detections": "at", "lineage": "at"}
"""Tables with something of a session's content, and the column whose day is in their partition key."""


@dataclass(frozen=True, slots=True)
class Target:
    """Events of one session: all, or those of some numbers."""

    session_id: str
    seqs: Seqs | None = None

    def select(self, table: str) -> str:
        """The condition on a row of a table under which it goes; empty when no row of the table does."""
        if table == "events":
            return self._match("session_id", "seq")
        if table == "lineage":
            return f"({self._match('from_session', 'from_seq')} OR {self._match('to_session', 'to_seq')})"
        return f"session_id = {quote(self.session_id)}" if self.seqs is None else ""

    def _match(self, session: str, seq: str) -> str:
        condition = f"{session} = {quote(self.session_id)}"
        if self.seqs is None:
            return condition
        ranges = " OR ".join(f"{seq} BETWEEN {first} AND {last}" for first, last in self.seqs)
        return f"({condition} AND ({ranges}))"


def read_target(evidence: Mapping[str, str]) -> Target:
    """What an order's evidence names. Raises ValueError."""
    session_id = evidence.get("session_id", "")
    if not _SESSION.fullmatch(session_id):
        raise ValueError("it names no session")
    return Target(session_id, parse_seqs(evidence["seqs"]) if "seqs" in evidence else None)


def select_ages(target: Target) -> str:
    """Class, number of events and newest time (µs) of what is to go."""
    own = f"if(retention_class = '{HELD}', held_from, retention_class)"
    return f"""SELECT {own} AS class, count() AS stored, toUnixTimestamp64Micro(max(at)) AS newest
        FROM custody.events WHERE {target.select("events")} GROUP BY class ORDER BY class"""


def find_young(retention_class: str, newest: int, rules: Retention, today: date) -> str:
    """That events of a class are younger than it must be kept; empty when they are not."""
    rule = rules.ages.get(retention_class)
    if rule is None:
        return f"no setting knows class {retention_class}: how long its events must be kept is not known"
    if not rule.min_age_days:
        return ""
    first = datetime.fromtimestamp(newest / 1_000_000, UTC).date() + timedelta(days=rule.min_age_days)
    why = f" ({', '.join(rule.presets)})" if rule.presets else ""
    kept = f"events of class {retention_class} must be kept {rule.min_age_days} days{why}"
    return f"{kept}: not before {first}" if today < first else ""


@dataclass(slots=True)
class _Run:
    """An erasure that was carried out and waits for its parts to go; `since` is the store's clock."""

    since: str
    places: list[tuple[str, str, str]] = field(default_factory=list)


class Eraser:
    """Carries out orders to erase. `writer` and `retention` are logins of the store."""

    def __init__(self, writer: StoreClient, retention: StoreClient, rules: Retention, read_holds: ReadHolds) -> None:
        self._writer, self._retention = writer, retention
        self._rules, self._read_holds = rules, read_holds
        self._runs: dict[str, _Run] = {}

    def find_fault(self, evidence: Mapping[str, str], today: date) -> str:
        """Why an order must not be carried out, or an empty string. Raises Unreachable."""
        try:
            target = read_target(evidence)
            require_two(evidence.get("by", ""), evidence.get("approved_by", ""))
        except ValueError as error:
            return str(error)
        for id, hold in sorted(self._read_holds().items()):
            where = f"session_id = {quote(target.session_id)} AND {select_held_events(hold)}"
            ((count,),) = self._writer.query(f"SELECT count() FROM custody.events WHERE {where}")
            if count:
                return f"legal hold {id} keeps {count} events of the session"
        for retention_class, _, newest in self._writer.query(select_ages(target)):
            if young := find_young(retention_class, newest, self._rules, today):
                return young
        return ""

    def count(self, evidence: Mapping[str, str]) -> dict[str, int]:
        """Rows of each table that are to go."""
        target, counts = read_target(evidence), {}
        for table in DAYS:
            where = target.select(table)
            counts[table] = (
                self._writer.query(f"SELECT count() FROM custody.{table} WHERE {where}")[0][0] if where else 0
            )
        return counts

    def is_running(self, token: str) -> bool:
        """Whether this process has deleted the rows, and waits for the disk."""
        return token in self._runs

    def erase(self, order_id: str, token: str, evidence: Mapping[str, str]) -> bool:
        """Delete, if that is not done yet; whether the last part that had the rows is gone by now.

        `token` names the order as it was given. Raises Unreachable.
        """
        run = self._runs.get(token)
        if run is None:
            run = self._runs[token] = self._delete(order_id, token, read_target(evidence))
        if any(self._count_old(table, name, day, run.since) for table, name, day in run.places):
            return False
        del self._runs[token]
        return True

    def _delete(self, order_id: str, token: str, target: Target) -> _Run:
        present = self._find_places(target)
        noted = self._read_places(token)
        self._note_places(token, sorted(present - noted))
        for table, name, day in sorted(present):
            partition = f"({quote(name)}, {day})"
            sql = f"ALTER TABLE custody.{table} DELETE IN PARTITION {partition} WHERE {target.select(table)}"
            self._retention.command(sql, comment=f"ERASE {order_id}")
        ((now,),) = self._writer.query("SELECT toString(now())")
        return _Run(now, sorted(present | noted))

    def _find_places(self, target: Target) -> set[tuple[str, str, str]]:
        """(table, class, day) of every partition with rows to go."""
        found = set()
        for table, column in DAYS.items():
            if where := target.select(table):
                place = f"retention_class, toString(toYYYYMMDD({column}))"
                rows = self._writer.query(f"SELECT DISTINCT {place} FROM custody.{table} WHERE {where}")
                found |= {(table, name, day) for name, day in rows}
        return found

    def _note_places(self, token: str, places: list[tuple[str, str, str]]) -> None:
        if places:
            ids, none = [f"{token}/{'/'.join(place)}" for place in places], [0] * len(places)
            row: Table = {"sink": [TOUCHED] * len(places), "log_id": ids, "partition": none, "offset": none}
            self._writer.insert("progress", row)

    def _read_places(self, token: str) -> set[tuple[str, str, str]]:
        """What this attempt or one before it noted."""
        sql = """SELECT DISTINCT substring(log_id, length({token:String}) + 2) FROM custody.progress
            WHERE sink = {sink:String} AND startsWith(log_id, {start:String})"""
        rows = self._writer.query(sql, sink=TOUCHED, token=token, start=f"{token}/")
        found = [_PLACE.fullmatch(text) for (text,) in rows]
        return {(match[1], match[2], match[3]) for match in found if match}

    def _count_old(self, table: str, name: str, day: str, since: str) -> int:
        """Parts on the disk that were replaced before `since`: what was replaced later was made without the rows.

        Empty parts hold nothing, and the store takes its time with them.
        """
        sql = """SELECT count() FROM system.parts WHERE database = 'custody' AND table = {table:String}
            AND partition = {partition:String} AND NOT active AND rows > 0
            AND remove_time <= toDateTime({since:String})"""
        ((count,),) = self._writer.query(sql, table=table, partition=f"('{name}',{day})", since=since)
        return int(count)
