"""Who accepts what: the first occurrence of the next origin, and facts not absorbed before. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

MAX_LOGS: Final = 8


@dataclass(slots=True)
class OriginChain:
    """The last origin accepted from one sessions partition."""

    log_id: str = ""
    offset: int = -1

    def judge(self, origin: Mapping[str, Any]) -> Literal["next", "repeat", "gap", "other"]:
        """How an origin stands to the last one accepted."""
        if not self.log_id:
            return "next"
        if origin["log_id"] != self.log_id:
            return "other"
        if origin["offset"] == self.offset + 1:
            return "next"
        return "repeat" if origin["offset"] <= self.offset else "gap"

    def advance(self, origin: Mapping[str, Any]) -> None:
        """Accept an origin."""
        self.log_id, self.offset = origin["log_id"], origin["offset"]

    def save(self) -> Any:
        """As JSON data."""
        return [self.log_id, self.offset]

    @classmethod
    def load(cls, saved: Any) -> "OriginChain":
        """From what `save` gave, or None."""
        return cls(*saved) if saved else cls()


class Absorbed:
    """Which fact batches one facts partition has given: per log and sessions partition they come in rising order."""

    def __init__(self, saved: Any = None) -> None:
        self._last: dict[tuple[str, int], tuple[int, int]] = {
            (log_id, partition): (offset, index) for log_id, partition, offset, index in saved or ()
        }

    def take(self, origin: Mapping[str, Any], index: int) -> bool:
        """True for a batch not seen before, which then counts as seen."""
        key, position = (origin["log_id"], origin["partition"]), (origin["offset"], index)
        if position <= self._last.get(key, (-1, -1)):
            return False
        self._last.pop(key, None)  # the longest unused log is first
        self._last[key] = position
        self._forget()
        return True

    def _forget(self) -> None:
        logs = list(dict.fromkeys(log_id for log_id, _ in self._last))
        if len(logs) > MAX_LOGS:
            self._last = {key: value for key, value in self._last.items() if key[0] in logs[-MAX_LOGS:]}

    def save(self) -> Any:
        """As JSON data, for the constructor."""
        return [[log_id, partition, *position] for (log_id, partition), position in self._last.items()]
