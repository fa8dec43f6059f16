"""What permits that a record is gone: orders of retention, and the legal holds that forbid it. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from sinks.transparency.leaf import EventLeaf

MAX_SEQS: Final = 10_000
"""Ranges of event numbers that one order to erase may name."""
DAY_US: Final = 86_400_000_000
Seqs = tuple[tuple[int, int], ...]
_SEQS: Final = re.compile(r"[0-9]{1,18}(?:-[0-9]{1,18})?", re.ASCII)


@dataclass(slots=True)
class Order:
    """An order that a record goes, and whether it was carried out. `index` is its leaf's."""

    order_id: str
    index: int
    at: int
    fault: str
    is_done: bool = False
    done_index: int = 1 << 62
    seqs: "Seqs | None" = None  # of an order to erase: the events it names; None: all of the session
    min_days: int = 0

    def names(self, leaf: EventLeaf) -> bool:
        """Whether an order to erase a leaf's session means this event."""
        return self.seqs is None or any(first <= leaf.seq <= last for first, last in self.seqs)


@dataclass(frozen=True, slots=True)
class HoldSpan:
    """A legal hold from its leaf to the leaf of its release. `sessions`: those it takes in; None: any."""

    hold_id: str
    placed: int
    released: int | None
    sessions: frozenset[str] | None
    since: int = 0
    until: int = 0

    def takes(self, leaf: EventLeaf) -> bool:
        """Whether an event is under it."""
        is_session = self.sessions is None or leaf.session_id in self.sessions
        return is_session and self.since <= leaf.at < (self.until or 1 << 62)


class Holds:
    """Legal holds as the log has them."""

    def __init__(self, spans: Sequence[HoldSpan] = ()) -> None:
        self._spans = tuple(spans)

    def find_present(self, leaf: EventLeaf) -> HoldSpan | None:
        """A hold in force that takes an event."""
        return next((span for span in self._spans if span.released is None and span.takes(leaf)), None)

    def find_barrier(self, leaf: EventLeaf, order: "Order") -> HoldSpan | None:
        """A hold that was in force from before an order until it was done. One that came between is no barrier:

        control and retention are two logs, whose order among each other only the executor knows.
        """
        for span in self._spans:
            is_over = span.released is not None and span.released < order.done_index
            if span.placed < order.index and not is_over and span.takes(leaf):
                return span
        return None


class Orders:
    """Orders in the log. `minimums` are days by retention class that the reader himself insists on."""

    def __init__(self, minimums: Mapping[str, int] | None = None) -> None:
        self._minimums = dict(minimums or {})
        self._expiries: dict[tuple[str, str], list[Order]] = {}
        self._erasures: dict[str, list[Order]] = {}
        self._by_id: dict[str, Order] = {}
        self.done_without_order: list[str] = []

    def note_action(self, index: int, action: Mapping[str, Any]) -> None:
        """A RetentionAction of the log, as its fields, in the log's order."""
        verb, order_id = action["action"], action["order_id"]
        if verb == "expire":
            order = Order(order_id, index, action["at"], self._find_fault(action))
            self._expiries.setdefault((action["retention_class"], action["day"]), []).append(order)
            self._by_id[order_id] = order
        elif verb == "erase":
            order = _make_erasure(index, action)
            self._erasures.setdefault(action["evidence"].get("session_id", ""), []).append(order)
            self._by_id[order_id] = order
        elif verb == "done":
            if order_id in self._by_id:
                self._by_id[order_id].is_done = True
                self._by_id[order_id].done_index = index
            else:
                self.done_without_order.append(order_id)
        elif verb == "refused" and order_id in self._by_id:
            self._by_id[order_id].fault = f"refused: {action['reason']}"

    def find_expiry(self, leaf: EventLeaf) -> Order | None:
        """The order that lets this record's day go: a good one, if there is any."""
        orders = self.list_expiries(leaf)
        return next((order for order in orders if not order.fault), orders[-1] if orders else None)

    def list_expiries(self, leaf: EventLeaf) -> Sequence[Order]:
        """Every order that this record's day goes."""
        return self._expiries.get((leaf.retention_class, day_of(leaf.at)), ()) if self._expiries else ()

    def list_erasures(self, leaf: EventLeaf) -> Sequence[Order]:
        """Every order that this record is erased."""
        orders = self._erasures.get(leaf.session_id, ()) if leaf.session_id else ()
        return [order for order in orders if order.names(leaf)]

    def find_young(self, leaf: EventLeaf, order: Order) -> str:
        """That an order to erase came before the record's least age was over; empty when it did not."""
        needed = max(order.min_days, self._find_minimum(leaf.retention_class))
        early_us = leaf.at // DAY_US * DAY_US + needed * DAY_US - order.at
        return f"given {early_us / 1e6:.0f} s before the record's day was {needed} days old" if early_us > 0 else ""

    def _find_minimum(self, retention_class: str) -> int:
        """Days that the reader insists on: of a combination of classes (`a+b`), the longest."""
        return max(self._minimums.get(part, 0) for part in retention_class.split("+"))

    def _find_fault(self, action: Mapping[str, Any]) -> str:
        """Why an order to expire does not permit it; empty when it does."""
        evidence = action["evidence"]
        try:
            day = date.fromisoformat(action["day"])
            stated = max(int(evidence["max_age_days"]), int(evidence["min_age_days"]))
        except (KeyError, ValueError):
            return "it does not say by which ages"
        needed = max(stated, self._find_minimum(action["retention_class"]))
        due = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1 + needed)
        early_us = int(due.timestamp()) * 1_000_000 - action["at"]
        return f"given {early_us / 1e6:.6f} s before the day was {needed} days old" if early_us > 0 else ""


def _make_erasure(index: int, action: Mapping[str, Any]) -> Order:
    """An order to erase: who asked and who approved are two people, or it permits nothing."""
    evidence = action["evidence"]
    fault, seqs, days = "", None, 0
    people = [" ".join(evidence.get(name, "").split()).casefold() for name in ("by", "approved_by")]
    if not all(people) or people[0] == people[1]:
        fault = "nobody else approved it"
    try:
        seqs = parse_seqs(evidence["seqs"]) if "seqs" in evidence else None
        days = int(evidence.get("min_age_days", "0"))
    except ValueError:
        fault = "it does not say which events"
    return Order(action["order_id"], index, action["at"], fault, seqs=seqs, min_days=days)


def parse_seqs(text: str) -> Seqs:
    """Numbers of events, as `3,7-9`. Raises ValueError."""
    parts = text.split(",")
    if len(parts) > MAX_SEQS or not all(_SEQS.fullmatch(part) for part in parts):
        raise ValueError("not numbers of events")
    ends = [part.partition("-") for part in parts]
    return tuple((int(first), int(last or first)) for first, _, last in ends)


def format_seqs(numbers: Iterable[int]) -> str:
    """What `parse_seqs` takes, as short as it gets."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)


def day_of(at_us: int) -> str:
    """The UTC day of a time; times beyond the calendar fall on its last or first day."""
    return _name_day(at_us // DAY_US)


@lru_cache(1024)
def _name_day(day: int) -> str:
    try:
        return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return date.max.isoformat() if day > 0 else date.min.isoformat()
