"""When (retention class, day) partitions are due, and that each is ordered away once. Pure: the time is passed in.

An order says through which offset of each sessions partition its writer had read. What arrives behind that for a day
already ordered (a spool drained late) makes the partition again, so it is due again, under the next order id. A day of
which legal holds kept rows is due again when one of these holds is gone; one whose order was refused, a day later.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

from schemas.config import RetentionClass
from schemas.events import RetentionAction, RetentionVerb

DAY_US: Final = 86_400_000_000
THROUGH: Final = "through."
LOG: Final = "sessions_log"
HOLDS: Final = "holds"
"""Names of holds, with spaces between: those in force, in an order and in its DONE; there only if rows were kept."""


class Slice(NamedTuple):
    """What expires as a whole: a ClickHouse partition. `day` is UTC, YYYY-MM-DD."""

    retention_class: str
    day: str


def day_of(at_us: int) -> str:
    """The UTC day of a time; times beyond the calendar fall on its last or first day."""
    try:
        return datetime.fromtimestamp(at_us // 1_000_000, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return date.max.isoformat() if at_us > 0 else date.min.isoformat()


@dataclass(slots=True)
class _Ordered:
    """Orders given for one slice: how many, and through what the last one had read."""

    count: int = 0
    log_id: str = ""
    through: dict[int, int] | None = None
    is_open: bool = False
    refused_at: int | None = None  # µs; the sink knew other rules, or did not know the class
    kept_by: frozenset[str] = frozenset()  # holds that kept rows when the last order was carried out

    def covers(self, log_id: str, partition: int, offset: int) -> bool:
        return log_id == self.log_id and offset <= (self.through or {}).get(partition, -1)


class Calendar:
    """Slices seen in sessions, and orders read back from the retention topic."""

    def __init__(self) -> None:
        self._seen: dict[int, dict[Slice, int]] = {}
        self._ordered: dict[Slice, _Ordered] = {}

    def restore(self, partition: int, saved: Any) -> None:
        """Take one partition's slices from what `save` gave, or None."""
        self._seen[partition] = {Slice(name, day): offset for name, day, offset in saved or ()}

    def save(self, partition: int, log_id: str) -> Any:
        """One partition's slices as JSON data, without those that an order covers."""
        seen = self._seen.get(partition, {})
        kept = {item: offset for item, offset in seen.items() if not self._covers(item, log_id, partition, offset)}
        self._seen[partition] = kept
        return [[*item, offset] for item, offset in kept.items()]

    def observe(self, partition: int, offset: int, slices: Iterable[Slice]) -> None:
        """A sessions batch holds events of these slices."""
        seen = self._seen.setdefault(partition, {})
        for item in slices:
            seen[item] = offset

    def learn(self, action: RetentionAction) -> None:
        """An action read from the retention topic: orders to expire count here, and which holds kept rows of them."""
        item = Slice(action.retention_class, action.day)
        if action.action in (RetentionVerb.DONE, RetentionVerb.REFUSED) and item in self._ordered:
            is_done = action.action == RetentionVerb.DONE
            self._ordered[item].is_open = False
            self._ordered[item].refused_at = None if is_done else action.at
            self._ordered[item].kept_by = frozenset(action.evidence.get(HOLDS, "").split() if is_done else ())
        if action.action != RetentionVerb.EXPIRE:
            return
        ordered = self._ordered.setdefault(item, _Ordered())
        ordered.count += 1
        ordered.is_open = True
        ordered.refused_at = None
        if LOG not in action.evidence:  # given by a person, who knows nothing of what was read
            return
        ordered.log_id = action.evidence.get(LOG, "")
        ordered.through = {
            int(name.removeprefix(THROUGH)): int(offset)
            for name, offset in action.evidence.items()
            if name.startswith(THROUGH) and name.removeprefix(THROUGH).isdigit() and offset.lstrip("-").isdigit()
        }

    def due(
        self,
        classes: Mapping[str, RetentionClass],
        now_us: int,
        log_id: str,
        positions: Mapping[int, int],
        holds: Set[str] = frozenset(),
    ) -> list[RetentionAction]:
        """Orders to give now. `positions`: the highest offset read of each sessions partition; `holds`: in force."""
        released = {item for item, ordered in self._ordered.items() if not ordered.is_open and ordered.kept_by - holds}
        found = (
            released
            | self._refused(now_us)
            | {
                item
                for partition, seen in self._seen.items()
                for item, offset in seen.items()
                if not self._covers(item, log_id, partition, offset)
            }
        )
        return [
            self._order(item, classes[item.retention_class], now_us, log_id, positions, holds, item in released)
            for item in sorted(found)
            if item.retention_class in classes and is_due(item.day, classes[item.retention_class], now_us)
        ]

    def unknown_classes(self, classes: Mapping[str, RetentionClass]) -> set[str]:
        """Classes that events carry and no setting knows: nothing of them ever expires."""
        return {
            item.retention_class for seen in self._seen.values() for item in seen if item.retention_class not in classes
        }

    def _tell_why(self, item: Slice) -> str:
        was_refused = item in self._ordered and self._ordered[item].refused_at is not None
        return "the last order was refused" if was_refused else "came after the day had expired"

    def _refused(self, now_us: int) -> set[Slice]:
        """What was refused a day ago: whoever refused it may know better rules by now."""
        return {
            item
            for item, ordered in self._ordered.items()
            if ordered.refused_at is not None and now_us - ordered.refused_at >= DAY_US
        }

    def _covers(self, item: Slice, log_id: str, partition: int, offset: int) -> bool:
        ordered = self._ordered.get(item)
        return ordered is not None and ordered.covers(log_id, partition, offset)

    def _order(
        self,
        item: Slice,
        rules: RetentionClass,
        now_us: int,
        log_id: str,
        positions: Mapping[int, int],
        holds: Set[str],
        is_released: bool,
    ) -> RetentionAction:
        count = self._ordered[item].count if item in self._ordered else 0
        order_id = f"{item.retention_class}/{item.day}" + (f"/{count + 1}" if count else "")
        evidence = {"max_age_days": str(rules.max_age_days), "min_age_days": str(rules.min_age_days), LOG: log_id}
        evidence |= {f"{THROUGH}{partition}": str(offset) for partition, offset in positions.items()}
        if holds:
            evidence[HOLDS] = " ".join(sorted(holds))
        again = "a legal hold was released" if is_released else self._tell_why(item)
        reason = f"older than {age_of(rules)} days" + (f"; {again}" if count else "")
        return RetentionAction(
            order_id, RetentionVerb.EXPIRE.value, item.retention_class, item.day, now_us, reason, evidence
        )


def age_of(rules: RetentionClass) -> int:
    """Days after which a day goes: never before the minimum, whatever the maximum says."""
    return max(rules.max_age_days, rules.min_age_days)


def is_due(day: str, rules: RetentionClass, now_us: int) -> bool:
    """Whether a whole UTC day is older than its class allows."""
    try:
        end = date.fromisoformat(day) + timedelta(days=1 + age_of(rules))
    except (ValueError, OverflowError):
        return False
    return now_us >= int(datetime(end.year, end.month, end.day, tzinfo=UTC).timestamp()) * 1_000_000
