"""How often a value may be traced: by one caller, and by all. Kept across restarts, or a restart would be a way around.

Many kinds of values have few possible ones (a card's or a social security number's digits), so an unlimited trace would
tell the value of any token to whoever asks long enough.
"""

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from schemas.config import Trace
from schemas.errors import ConfigError
from schemas.runtime import write_private

MINUTE_US: Final = 60_000_000
DAY_US: Final = 86_400_000_000
MAX_CALLERS: Final = 10_000


class Limiter:
    """Counts traces over sliding windows. Saved to `path` before `take` returns; None keeps nothing."""

    def __init__(self, limits: Trace, path: Path | None = None) -> None:
        self._limits = limits
        self._path = path
        self._taken = _load(path) if path is not None else {}
        self._lock = threading.Lock()

    def take(self, caller: str, now: int) -> int:
        """0, and the trace counts; else the µs until `caller` may ask again, and nothing is counted.

        A time in the future, after the clock was set back, counts until it has passed. Thread-safe.
        """
        with self._lock:
            return self._take(caller, now)

    def _take(self, caller: str, now: int) -> int:
        self._forget(now)
        mine = self._taken.get(caller, [])
        everyone = sorted(at for taken in self._taken.values() for at in taken)
        wait = max(
            _wait(mine, now, MINUTE_US, self._limits.per_minute),
            _wait(mine, now, DAY_US, self._limits.per_day),
            _wait(everyone, now, DAY_US, self._limits.total_per_day),
        )
        if wait:
            return wait
        self._taken[caller] = [*mine, now]
        self._save()
        return 0

    def left(self, caller: str, now: int) -> int:
        """How many more traces the day holds for a caller."""
        with self._lock:
            self._forget(now)
        mine = self._limits.per_day - len(self._taken.get(caller, []))
        everyone = self._limits.total_per_day - sum(map(len, self._taken.values()))
        return max(0, min(mine, everyone))

    def _forget(self, now: int) -> None:
        kept = {caller: [at for at in taken if at > now - DAY_US] for caller, taken in self._taken.items()}
        self._taken = {caller: taken for caller, taken in kept.items() if taken}

    def _save(self) -> None:
        if self._path is not None:
            write_private(self._path, json.dumps(self._taken).encode())


def _wait(taken: list[int], now: int, window: int, most: int) -> int:
    recent = [at for at in taken if at > now - window]
    return recent[-most] + window - now if len(recent) >= most else 0


def _load(path: Path) -> dict[str, list[int]]:
    """What was saved. Raises ConfigError rather than to start with nothing counted."""
    if not path.exists():
        return {}
    try:
        return _checked(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError):
        raise ConfigError(
            f"{path.name} is not what the key holder wrote: look who changed it, then remove it"
        ) from None


def _checked(document: Any) -> dict[str, list[int]]:
    if not isinstance(document, Mapping) or len(document) > MAX_CALLERS:
        raise ValueError("no table of callers")
    for taken in document.values():
        if not isinstance(taken, list) or not all(isinstance(at, int) for at in taken):
            raise ValueError("no list of times")
    return {str(caller): sorted(taken) for caller, taken in document.items()}
