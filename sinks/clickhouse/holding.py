"""What legal holds do to the store: held rows of a day that expires move to the class `held`, and leave it on release.

Copy, compare, then drop: a day's partition is dropped only when each of its held rows stands in the class `held` with
the same values. Each step may be repeated; what was copied already is left alone. Which rows of the other tables stay
follows from the events: what belongs to a session with a held event stays with it.
"""

# ruff: noqa: S608 - tables and columns are constants of this file, numbers are numbers, every text passes `quote`

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from schemas.errors import Unreachable
from schemas.holds import HELD, LegalHold
from sinks.clickhouse.client import StoreClient

MOVED_ROWS: Final = 1000
"""Rows of one copying INSERT: together far below what the store takes at once, as a row is bounded."""

Holds = Mapping[str, LegalHold]
ReadHolds = Callable[[], Holds]
"""The holds in force now. Raises Unreachable when that cannot be known."""


@dataclass(frozen=True, slots=True)
class ExpiringTable:
    """A table with days: the column whose day it is, what identifies a row, and how a row belongs to a session."""

    name: str
    day_column: str
    key: tuple[str, ...]
    session_columns: tuple[str, ...]


TABLES: Final = (
    ExpiringTable("events", "at", ("log_id", "partition", "offset", "position"), ("session_id",)),
    ExpiringTable("sessions", "opened_at", ("log_id", "partition", "offset", "position"), ("session_id",)),
    ExpiringTable("detections", "at", ("log_id", "partition", "offset"), ("session_id",)),
    ExpiringTable("lineage", "at", ("log_id", "partition", "offset"), ("from_session", "to_session")),
    ExpiringTable("deliveries", "at", ("sink", "target", "log_id", "partition", "offset", "item", "at", "attempt"),
                  ("item",)),
)  # fmt: skip
"""`events` comes first: a session's rows elsewhere stay because its events do."""


def quote(text: str) -> str:
    """A string literal of the store."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def select_held_events(hold: LegalHold) -> str:
    """The condition on a row of `events` under which a hold takes it."""
    parts = [
        f"{column} = {quote(value)}"
        for column, value in (
            ("session_id", hold.session), ("agent", hold.agent), ("principal", hold.principal),
            ("resource", hold.resource),
        )
        if value
    ]  # fmt: skip
    if hold.since:
        parts.append(f"at >= fromUnixTimestamp64Micro({hold.since})")
    if hold.until:
        parts.append(f"at < fromUnixTimestamp64Micro({hold.until})")
    if hold.token:
        found = f"SELECT session_id FROM custody.events WHERE has(masked.token, {quote(hold.token)})"
        parts.append(f"session_id IN ({found})")
    return "(" + " AND ".join(parts) + ")"


def select_held(table: ExpiringTable, holds: Holds) -> str:
    """The condition under which a row of a table stays. Never empty: without holds nothing stays."""
    events = " OR ".join(select_held_events(hold) for _, hold in sorted(holds.items())) or "0"
    if table.name == "events":
        return f"({events})"
    sessions = f"SELECT session_id FROM custody.events WHERE {events}"
    parts = [f"{column} IN ({sessions})" for column in table.session_columns]
    if table.name == "deliveries":
        parts.append(f"item IN (SELECT detection_id FROM custody.detections WHERE session_id IN ({sessions}))")
    return "(" + " OR ".join(parts) + ")"


def count_days(writer: StoreClient, keepers: Iterable["Keeper"], retention_class: str) -> dict[str, tuple[int, int]]:
    """For each table the rows of a class that are there and those that stay under a hold, by one query."""
    sql = " UNION ALL ".join(keeper.select_counts(retention_class) for keeper in keepers)
    return {name: (int(own), int(moved)) for name, own, moved in writer.query(sql)}


class Keeper:
    """Moves held rows within one table and day. `writer` and `retention` are logins of the store."""

    def __init__(self, writer: StoreClient, retention: StoreClient, table: ExpiringTable, day: str) -> None:
        self._writer, self._retention, self._table = writer, retention, table
        self._number = int(day.replace("-", ""))

    def select_counts(self, retention_class: str) -> str:
        """A query of one row: the table, the rows of a class that are there, those that stay under a hold."""
        own, moved = self._of(retention_class), self._moved_from(retention_class)
        return (
            f"SELECT {quote(self._table.name)} AS name, countIf({own}) AS own, countIf({moved}) AS moved"
            f" FROM {self._name} WHERE {own} OR {moved}"
        )

    def count(self, retention_class: str) -> int:
        """Rows of a class that are there, moved ones too; each once."""
        where = f"({self._of(retention_class)} OR {self._moved_from(retention_class)})"
        key = ", ".join(self._table.key)
        return self._number_of(f"SELECT uniqExact({key}) FROM {self._name} WHERE {where}")

    def move(self, retention_class: str, holds: Holds, token: str) -> None:
        """Copy a day's held rows to the class `held`, and compare. Raises Unreachable when they differ.

        `token` names the order: a piece that a predecessor's INSERT brings late is dropped by the store.
        """
        held = f"{self._of(retention_class)} AND {select_held(self._table, holds)}"
        key = ", ".join(self._table.key)
        there = f"SELECT {key} FROM {self._name} WHERE {self._of(HELD)}"
        missing = f"{held} AND ({key}) NOT IN ({there})"
        while first := self._writer.query(f"SELECT {key} FROM {self._name} WHERE {missing} ORDER BY {key} LIMIT 1"):
            piece = sha256(f"{token}/{self._table.name}/{first[0]}".encode()).hexdigest()[:40]
            # The conditions stand in a query of their own: beside REPLACE they would mean the new class.
            rows = f"SELECT * FROM {self._name} WHERE {missing} ORDER BY {key} LIMIT {MOVED_ROWS} WITH TIES"
            columns = f"* REPLACE ('{HELD}' AS retention_class, {quote(retention_class)} AS held_from)"
            sql = f"SELECT {columns} FROM ({rows})"
            self._writer.copy(self._table.name, sql, piece)
        self._compare(held, f"{self._of(HELD)} AND ({key}) IN (SELECT {key} FROM {self._name} WHERE {held})")

    def drop(self, retention_class: str) -> None:
        """Drop a class's day."""
        self._retention.command(f"ALTER TABLE {self._name} DROP PARTITION {self._partition(retention_class)}")

    def release(self, retention_class: str, holds: Holds, order_id: str) -> None:
        """Let go what was moved and no hold takes any more."""
        moved = self._moved_from(retention_class)
        free = f"{moved} AND NOT {select_held(self._table, holds)}"
        if not self._number_of(f"SELECT count() FROM {self._name} WHERE {free}"):
            return
        kept = f"SELECT count() FROM {self._name} WHERE {self._of(HELD)} AND NOT ({free})"
        if not self._number_of(kept):
            self.drop(HELD)
            return
        sql = f"ALTER TABLE {self._name} DELETE IN PARTITION {self._partition(HELD)} WHERE {free}"
        self._retention.command(sql, comment=f"EXPIRE {order_id}")

    def _compare(self, here: str, there: str) -> None:
        """Whether two selections have the same rows, class apart."""
        sums = "count(), sum(cityHash64(* EXCEPT (retention_class, held_from)))"
        one, other = (self._writer.query(f"SELECT {sums} FROM {self._name} WHERE {where}") for where in (here, there))
        if one != other:
            raise Unreachable(f"held rows of {self._table.name}, day {self._number}, differ from their copy: kept")

    @property
    def _name(self) -> str:
        return f"custody.{self._table.name}"

    def _of(self, retention_class: str) -> str:
        day = f"toYYYYMMDD({self._table.day_column}) = {self._number}"
        return f"retention_class = {quote(retention_class)} AND {day}"

    def _moved_from(self, retention_class: str) -> str:
        return f"({self._of(HELD)} AND held_from = {quote(retention_class)})"

    def _partition(self, retention_class: str) -> str:
        return f"({quote(retention_class)}, {self._number})"

    def _number_of(self, sql: str) -> int:
        ((number,),) = self._writer.query(sql)
        return int(number)
