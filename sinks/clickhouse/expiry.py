"""Carries out orders of retention: counts, moves what is held, drops or erases, answers.

Each step may be repeated. An order waits until the sink has stored everything that was on the sessions topic when the
order was read: rows which were still under way would come back otherwise. What was counted is written down before the
drop, so that a DONE after a crash still says how many rows went. An order against the rules is answered REFUSED.

Rows under a legal hold are moved to the class `held` first (holding.py); DONE says how many stay and under which holds.
The holds are read anew for each order and once more before the drop: one that is durable by then is kept to.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

from schemas.config import Retention
from schemas.errors import Unreachable
from schemas.events import RetentionAction, RetentionVerb
from schemas.holds import HELD
from schemas.runtime import now_us
from sinks.clickhouse.client import StoreClient, Table
from sinks.clickhouse.erasure import DAYS, Eraser
from sinks.clickhouse.holding import TABLES, Holds, Keeper, ReadHolds, count_days
from sinks.transparency.audit import KAFKA_RETENTION_US

COUNTED: Final = "clickhouse.expire"
"""`progress` rows of this sink: log_id is the order and the table, offset the rows counted before the drop."""
LOOK_INTERVAL_S: Final = 1.0
"""Between two looks whether the store has removed what an erasure left behind."""
MAX_ATTEMPTS: Final = 5
"""So often holds may change while one order is carried out; then it waits for the next turn."""

_CLASS: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}(\+[A-Za-z0-9_.-]{1,64}){0,63}", re.ASCII)
_ORDERS: Final = frozenset({RetentionVerb.EXPIRE, RetentionVerb.ERASE})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """An order that is not answered yet."""

    order_id: str
    action: str
    retention_class: str
    day: str
    at: int
    evidence: Mapping[str, str] = field(default_factory=dict)

    @property
    def token(self) -> str:
        """Names the order as it was given: an id may be given again after an answer that was lost."""
        return f"{self.order_id}@{self.at}"


def find_fault(order: Order, rules: Retention, today: date) -> str:
    """Why the order must not be carried out, or an empty string."""
    if order.action != RetentionVerb.EXPIRE:
        return f"{order.action} is not carried out by this sink"
    if not _CLASS.fullmatch(order.retention_class):
        return "the class is no name"
    if order.retention_class == HELD:
        return "what is held goes by the order of its own class"
    try:
        day = date.fromisoformat(order.day)
    except ValueError:
        return "the day is no date"
    if day.isoformat() != order.day or not 1970 <= day.year <= 2299:
        return "the day is no date of the store"
    if day > today:
        return "the day has not come yet"
    rule = rules.ages.get(order.retention_class)
    if rule is None:
        return "no setting knows the class: how long it must be kept is not known"
    if today - day < timedelta(days=rule.min_age_days):
        return f"younger than the {rule.min_age_days} days that the class must be kept"
    return ""


def open_orders(actions: list[RetentionAction]) -> dict[str, Order]:
    """Orders whose last word is the order itself, given all actions in the topic's order."""
    orders: dict[str, Order] = {}
    for action in actions:
        note_action(orders, action)
    return orders


def note_action(orders: dict[str, Order], action: RetentionAction) -> None:
    """Take an order up, or an answered one away."""
    if action.action in _ORDERS:
        orders[action.order_id] = Order(
            action.order_id, action.action, action.retention_class, action.day, action.at, action.evidence
        )
    else:
        orders.pop(action.order_id, None)


class Expiry:
    """Open orders and their execution. `writer` and `retention` are logins; `publish` makes an answer durable."""

    def __init__(
        self,
        writer: StoreClient,
        retention: StoreClient,
        rules: Retention,
        publish: Callable[[RetentionAction], None],
        read_ends: Callable[[], Mapping[int, int]],
        read_holds: ReadHolds = dict,
    ) -> None:
        self.orders: dict[str, Order] = {}
        self.done = 0
        self._writer = writer
        self._retention = retention
        self._rules = rules
        self._publish = publish
        self._read_ends = read_ends
        self._read_holds = read_holds
        self._barriers: dict[str, Mapping[int, int]] = {}
        self._eraser = Eraser(writer, retention, rules, read_holds)
        self._look_at: dict[str, float] = {}

    def load(self) -> None:
        """Open orders among the stored actions. Raises Unreachable."""
        sql = """SELECT order_id, argMax(action, offset), argMax(retention_class, offset), argMax(day, offset),
            toUnixTimestamp64Micro(argMax(at, offset)), argMax(evidence, offset)
            FROM custody.retention_actions GROUP BY order_id"""
        found = [Order(*row) for row in self._writer.query(sql)]
        self.orders = {order.order_id: order for order in found if order.action in _ORDERS}
        self._barriers = {}

    def note(self, action: RetentionAction) -> None:
        """An action arrived on the topic."""
        note_action(self.orders, action)
        if action.order_id not in self.orders:
            self._barriers.pop(action.order_id, None)

    def work(self, is_past: Callable[[Mapping[int, int]], bool]) -> None:
        """Carry out the orders whose time has come. Call it with every record of the retention topic noted."""
        for order in list(self.orders.values()):
            if order.order_id not in self._barriers:
                self._barriers[order.order_id] = self._read_ends()
            if is_past(self._barriers[order.order_id]):
                if order.action == RetentionVerb.ERASE:
                    self._erase(order)
                else:
                    self._answer(order)

    def _refuse(self, order: Order, fault: str) -> None:
        _log.warning("retention order %s refused: %s", order.order_id, fault)
        self._send(order, RetentionVerb.REFUSED, fault, {}, 0)

    def _erase(self, order: Order) -> None:
        """Carry an erasure out as far as it goes now; the store takes some time to remove old parts."""
        if time.monotonic() < self._look_at.get(order.token, 0.0):
            return
        counts = self._noted(order, tuple(DAYS))
        if not self._eraser.is_running(order.token) and not self._has_begun(order, counts):
            if fault := self._eraser.find_fault(order.evidence, datetime.now(UTC).date()):
                self._refuse(order, fault)
                return
        if counts is None:
            counts = self._eraser.count(order.evidence)
            self._note(order, counts)
        if not self._eraser.erase(order.order_id, order.token, order.evidence):
            self._look_at[order.token] = time.monotonic() + LOOK_INTERVAL_S
            return
        self._look_at.pop(order.token, None)
        evidence = {f"rows.{table}": str(count) for table, count in counts.items()}
        evidence["erasing_until"] = str(order.at + KAFKA_RETENTION_US)
        self._send(order, RetentionVerb.DONE, "", evidence, counts["events"])

    def _has_begun(self, order: Order, counts: Mapping[str, int] | None) -> bool:
        """Whether rows are gone already: what is half gone goes wholly, whatever came since."""
        return counts is not None and self._eraser.count(order.evidence) != counts

    def _answer(self, order: Order) -> None:
        fault = find_fault(order, self._rules, datetime.now(UTC).date())
        if fault:
            self._refuse(order, fault)
            return
        keepers = {table.name: Keeper(self._writer, self._retention, table, order.day) for table in TABLES}
        counts = self._noted(order, tuple(keepers))
        if counts is None:
            found = count_days(self._writer, keepers.values(), order.retention_class)
            counts = {
                # A copy and its original may both be there.
                name: keepers[name].count(order.retention_class) if moved else own
                for name, (own, moved) in found.items()
            }
            self._note(order, counts)
        holds, moved = self._let_go(order, keepers)
        evidence = {f"rows.{name}": str(max(0, count - moved[name])) for name, count in counts.items()}
        if any(moved.values()):
            evidence |= {f"held.{name}": str(count) for name, count in moved.items() if count}
            evidence["holds"] = " ".join(sorted(holds))
        self._send(order, RetentionVerb.DONE, "", evidence, int(evidence["rows.events"]))

    def _let_go(self, order: Order, keepers: Mapping[str, Keeper]) -> tuple[Holds, dict[str, int]]:
        """Move what is held, drop the rest; the holds that were kept to, and how much stays. Raises Unreachable."""
        for _ in range(MAX_ATTEMPTS):
            holds = self._read_holds()
            if holds:
                for keeper in keepers.values():
                    keeper.move(order.retention_class, holds, order.token)
            # A hold that came while rows were copied takes more of them.
            if self._read_holds() == holds:
                break
        else:
            raise Unreachable(f"holds change faster than {order.order_id} can be carried out")
        for keeper in keepers.values():
            keeper.drop(order.retention_class)
        moved = self._count_moved(order, keepers)
        if any(moved.values()):
            for name, count in moved.items():
                if count:
                    keepers[name].release(order.retention_class, holds, order.order_id)
            moved = self._count_moved(order, keepers)
        return holds, moved

    def _count_moved(self, order: Order, keepers: Mapping[str, Keeper]) -> dict[str, int]:
        found = count_days(self._writer, keepers.values(), order.retention_class)
        return {name: moved for name, (_, moved) in found.items()}

    def _noted(self, order: Order, tables: Sequence[str]) -> dict[str, int] | None:
        """What the first attempt of this order counted; None when there was none, or it was cut off before."""
        keys = {f"{order.token}/{table}": table for table in tables}
        sql = """SELECT log_id, max(offset) FROM custody.progress
            WHERE sink = {sink:String} AND log_id IN {keys:Array(String)} GROUP BY log_id"""
        found = {keys[key]: int(rows) for key, rows in self._writer.query(sql, sink=COUNTED, keys=list(keys))}
        return found if len(found) == len(keys) else None

    def _note(self, order: Order, counts: Mapping[str, int]) -> None:
        """In one INSERT into one partition: all of it is there, or nothing."""
        ids, none = [f"{order.token}/{table}" for table in counts], [0] * len(counts)
        row: Table = {
            "sink": [COUNTED] * len(counts),
            "log_id": ids,
            "partition": none,
            "offset": list(counts.values()),
        }
        self._writer.insert("progress", row)

    def _send(self, order: Order, verb: str, reason: str, evidence: dict[str, str], rows: int) -> None:
        answer = RetentionAction(
            order.order_id, verb, order.retention_class, order.day, now_us(), reason, evidence, rows
        )
        self._publish(answer)
        self.done += verb == RetentionVerb.DONE
        self.note(answer)
