"""Carries out EXPIRE orders: counts, moves what is held, drops, answers DONE. Each step may be repeated.

An order waits until the sink has stored everything that was on the sessions topic when the order was read: rows of
that day which were still under way would come back otherwise. What was counted is written down before the drop, so
that a DONE after a crash still says how many rows went. An order against the rules is answered REFUSED.

Rows under a legal hold are moved to the class `held` first (holding.py); DONE says how many stay and under which holds.
The holds are read anew for each order and once more before the drop: one that is durable by then is kept to.
"""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from schemas.config import Retention
from schemas.errors import Unreachable
from schemas.events import RetentionAction, RetentionVerb
from schemas.holds import HELD
from schemas.runtime import now_us
from sinks.clickhouse.client import StoreClient
from sinks.clickhouse.holding import TABLES, Holds, Keeper, ReadHolds

COUNTED: Final = "clickhouse.expire"
"""`progress` rows of this sink: log_id is the order and the table, offset the rows counted before the drop."""
MAX_ATTEMPTS: Final = 5
"""So often holds may change while one order is carried out; then it waits for the next turn."""

_CLASS: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
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
    rule = rules.classes.get(order.retention_class)
    if rule is not None and today - day < timedelta(days=rule.min_age_days):
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
        orders[action.order_id] = Order(action.order_id, action.action, action.retention_class, action.day, action.at)
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

    def load(self) -> None:
        """Open orders among the stored actions. Raises Unreachable."""
        sql = """SELECT order_id, argMax(action, offset), argMax(retention_class, offset), argMax(day, offset),
            toUnixTimestamp64Micro(argMax(at, offset)) FROM custody.retention_actions GROUP BY order_id"""
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
                self._answer(order)

    def _answer(self, order: Order) -> None:
        fault = find_fault(order, self._rules, datetime.now(UTC).date())
        if fault:
            _log.warning("retention order %s refused: %s", order.order_id, fault)
            self._send(order, RetentionVerb.REFUSED, fault, {}, 0)
            return
        keepers = {table.name: Keeper(self._writer, self._retention, table, order.day) for table in TABLES}
        counts = {name: self._count(order, name, keeper) for name, keeper in keepers.items()}
        holds = self._let_go(order, keepers)
        moved = {name: keeper.count_moved(order.retention_class) for name, keeper in keepers.items()}
        evidence = {f"rows.{name}": str(max(0, count - moved[name])) for name, count in counts.items()}
        if any(moved.values()):
            evidence |= {f"held.{name}": str(count) for name, count in moved.items() if count}
            evidence["holds"] = " ".join(sorted(holds))
        self._send(order, RetentionVerb.DONE, "", evidence, int(evidence["rows.events"]))

    def _let_go(self, order: Order, keepers: Mapping[str, Keeper]) -> Holds:
        """Move what is held, drop the rest; the holds that were kept to. Raises Unreachable."""
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
            keeper.release(order.retention_class, holds, order.order_id)
        return holds

    def _count(self, order: Order, table: str, keeper: Keeper) -> int:
        """Rows of the class and day, at the first attempt of this order."""
        key = f"{order.token}/{table}"
        sql = "SELECT count(), max(offset) FROM custody.progress WHERE sink = {sink:String} AND log_id = {key:String}"
        ((noted, rows),) = self._writer.query(sql, sink=COUNTED, key=key)
        if noted:
            return int(rows)
        rows = keeper.count(order.retention_class)
        self._writer.insert("progress", {"sink": [COUNTED], "log_id": [key], "partition": [0], "offset": [rows]})
        return rows

    def _send(self, order: Order, verb: str, reason: str, evidence: dict[str, str], rows: int) -> None:
        answer = RetentionAction(
            order.order_id, verb, order.retention_class, order.day, now_us(), reason, evidence, rows
        )
        self._publish(answer)
        self.done += verb == RetentionVerb.DONE
        self.note(answer)
