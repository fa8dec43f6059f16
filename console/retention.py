"""What is due, what was done, what is overdue: retention as seen from the store and the settings. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from schemas.config import RetentionClass
from schemas.retention_presets import PRESETS

GRACE: Final = timedelta(days=1)
"""A day that is due is ordered away and carried out within this; after it, it is overdue."""

PARTITIONS: Final = """
SELECT retention_class, toString(toDate(at)) AS day, count() AS stored FROM custody.events
WHERE retention_class != 'held'
GROUP BY retention_class, day ORDER BY retention_class, day
"""
"""What a legal hold keeps past its day is not among it: it stays for as long as the hold."""
ACTIONS: Final = """
SELECT order_id, action, retention_class, day, at, reason, rows FROM custody.retention_actions ORDER BY at, offset
"""


@dataclass(frozen=True, slots=True)
class Slice:
    """A partition of the store: a class's UTC day. `due` is when it may and must go; None: its class has no rule."""

    retention_class: str
    day: date
    stored: int
    due: date | None

    def is_overdue(self, now: datetime) -> bool:
        """Whether it should be gone by now."""
        return self.due is not None and now >= datetime.combine(self.due, datetime.min.time(), UTC) + GRACE


@dataclass(frozen=True, slots=True)
class Done:
    """An order and what came of it: `outcome` is done, refused, or empty while it is open."""

    order_id: str
    retention_class: str
    day: str
    ordered_at: datetime | None
    outcome: str
    answered_at: datetime | None
    rows: int
    reason: str


def make_slices(rows: Iterable[Mapping[str, Any]], classes: Mapping[str, RetentionClass]) -> list[Slice]:
    """The store's partitions with their dates."""
    found = []
    for row in rows:
        day, rule = date.fromisoformat(row["day"]), classes.get(row["retention_class"])
        due = day + timedelta(days=1 + max(rule.max_age_days, rule.min_age_days)) if rule else None
        found.append(Slice(row["retention_class"], day, row["stored"], due))
    return found


def join_actions(rows: Iterable[Mapping[str, Any]]) -> list[Done]:
    """Orders with their answers, in the order in which they came. An answer without an order stands alone."""
    found: dict[str, Done] = {}
    for row in rows:
        order_id, known = row["order_id"], found.get(row["order_id"])
        if row["action"] in ("expire", "erase"):
            found[order_id] = Done(order_id, row["retention_class"], row["day"], row["at"], "", None, 0, row["reason"])
        elif known is not None:
            found[order_id] = Done(
                order_id, known.retention_class, known.day, known.ordered_at, row["action"], row["at"], row["rows"],
                row["reason"] or known.reason,
            )  # fmt: skip
        else:
            found[order_id] = Done(
                order_id, row["retention_class"], row["day"], None, row["action"], row["at"], row["rows"], row["reason"]
            )
    return list(found.values())


def audit(slices: Iterable[Slice], actions: Iterable[Done], now: datetime) -> list[str]:
    """What retention did not do, or did untold. Rows that went without an order are `custody verify`'s to find."""
    actions = list(actions)
    faults = []
    done = {(item.retention_class, item.day) for item in actions if item.outcome == "done"}
    for item in slices:
        name = f"{item.retention_class}/{item.day}"
        if item.due is None:
            faults.append(f"{name}: {item.stored} events of a class that no setting knows: they never expire")
        elif item.is_overdue(now):
            told = ", though its order was carried out" if (item.retention_class, str(item.day)) in done else ""
            faults.append(f"{name}: {item.stored} events are overdue since {item.due}{told}")
    for order in actions:
        if order.ordered_at is None:
            faults.append(f"{order.order_id}: {order.outcome} without an order")
        elif order.outcome == "" and now - _utc(order.ordered_at) > GRACE:
            faults.append(f"{order.order_id}: ordered {_utc(order.ordered_at):%Y-%m-%d} and not answered")
    return faults


def describe_class(name: str, rule: RetentionClass | None) -> tuple[str, str, str, str]:
    """A class for people: name, minimum, maximum, where they come from. None: no setting knows it."""
    if rule is None:
        return (name, "", "never", "no setting knows the class")
    sources = "; ".join(PRESETS[preset].source for preset in rule.presets) or "the organisation's own"
    return (name, f"{rule.min_age_days} days", f"{rule.max_age_days} days", sources)


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
