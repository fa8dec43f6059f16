"""Detections that stop whom they are about: a quarantine in control, signed by detect, as the command would place it.

It is written before the detection is sent. A start feeds again what was not sent, so no quarantine is lost; what was
sent stops nobody a second time, also after people have lifted it.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from pydantic import ValidationError

from schemas.approvals import MAX_REASON_CHARS, Quarantine
from schemas.detection_config import Detection as DetectionSettings
from schemas.errors import ConfigError, Unreachable
from schemas.events import ControlKind, Detection
from schemas.names import is_same_name
from schemas.runtime import now_us

log = logging.getLogger(__name__)

BY: Final = "detect:"
HOUR_US: Final = 3_600_000_000
OWN_RESOURCE: Final = "custody"
"""Sessions on Custody itself: people and commands at the API, proxies."""
ATTRIBUTE: Final = "quarantine"
AGAIN_S: Final = 1.0
MAX_ATTEMPTS: Final = 60


class View(Protocol):
    """Control, as far as it is needed."""

    def get(self, kind: ControlKind, id: str) -> dict[str, Any] | None: ...
    def all(self, kind: ControlKind) -> dict[str, dict[str, Any]]: ...


class Writer(Protocol):
    """Writes control."""

    def put(self, kind: ControlKind, id: str, payload: dict[str, Any] | None) -> None: ...


class Quarantining:
    """`place` is called for each new detection, in order. `alarm` is told what people should look at."""

    def __init__(
        self,
        settings: DetectionSettings,
        view: View,
        make_writer: Callable[[], Writer],
        alarm: Callable[[str], object],
        clock: Callable[[], int] = now_us,
    ) -> None:
        self._settings = settings
        self._view = view
        self._make_writer = make_writer
        self._writer: Writer | None = None
        self._alarm = alarm
        self._clock = clock
        self._placed: dict[str, int] = {}  # by this process: the view lags a little

    async def place(self, detection: Detection) -> None:
        """Stop whom the settings say; the detection tells what came of it. Raises Unreachable when the broker stays
        away."""
        kind = self._settings.quarantine.get(detection.rule)
        if kind is None:
            return
        entry, hindrance = self._choose(detection, kind)
        if entry is None:
            detection.attributes[ATTRIBUTE] = f"none: {hindrance}"
            return
        await self._write(entry)
        self._placed[entry.id] = entry.at
        detection.attributes[ATTRIBUTE] = f"{entry.kind} {entry.name}"
        log.warning("%s quarantined by detection %s", entry.id, detection.detection_id)

    def _choose(self, detection: Detection, kind: str) -> tuple[Quarantine | None, str]:
        """The quarantine, or why there is none."""
        now = self._clock()
        hindrance = hindrance_of(detection, self._settings.never_quarantine, now)
        if hindrance:
            return None, hindrance
        name = detection.session_id
        if kind == "agent" and not is_personal(detection):
            name = detection.agent
        else:
            kind = "session"
        try:
            entry = Quarantine.model_validate(
                {
                    "kind": kind,
                    "name": name,
                    "reason": f"detection {detection.detection_id}: {detection.title}"[:MAX_REASON_CHARS],
                    "by": f"{BY}{detection.rule}",
                    "at": now,
                }
            )
        except ValidationError:
            return None, f"nobody can be named by the {kind} of this detection"
        if self._view.get(ControlKind.QUARANTINE, entry.id) is not None or self._is_placed(entry.id, now):
            return None, f"{kind} {name} is quarantined already"
        if self._count(now) >= self._settings.max_quarantines_per_hour:
            limit = self._settings.max_quarantines_per_hour
            self._alarm(f"{kind} {name} was not quarantined for {detection.rule}: {limit} were within an hour already")
            return None, f"{limit} were placed within an hour already"
        return entry, ""

    def _is_placed(self, id: str, now: int) -> bool:
        return now - self._placed.get(id, 0) < 2_000_000

    def _count(self, now: int) -> int:
        """Quarantines that detections have placed within an hour, here or in another process."""
        self._placed = {id: at for id, at in self._placed.items() if now - at < HOUR_US}
        found = set(self._placed)
        for id, payload in self._view.all(ControlKind.QUARANTINE).items():
            at = payload.get("at")
            if str(payload.get("by", "")).startswith(BY) and isinstance(at, int) and now - at < HOUR_US:
                found.add(id)
        return len(found)

    async def _write(self, entry: Quarantine) -> None:
        for attempt in range(MAX_ATTEMPTS):
            try:
                await asyncio.to_thread(self._put, entry)
                return
            except Unreachable as error:
                log.error("alarm: %s is not quarantined yet: %s", entry.id, error)
                if attempt == MAX_ATTEMPTS - 1:
                    raise
                await asyncio.sleep(AGAIN_S)

    def _put(self, entry: Quarantine) -> None:
        if self._writer is None:
            self._writer = self._make_writer()
        self._writer.put(ControlKind.QUARANTINE, entry.id, entry.model_dump(mode="json"))


def hindrance_of(detection: Detection, never: Iterable[str], now: int) -> str:
    """Why a detection stops nobody, whatever its rule."""
    if detection.resource == OWN_RESOURCE:
        return "it is about Custody's own sessions"
    if now - detection.at > HOUR_US:
        return "it is about what was more than an hour ago"
    if any(_fits(pattern, detection.agent) for pattern in never):
        return f"{detection.agent} is never quarantined"
    return ""


def is_personal(detection: Detection) -> bool:
    """Whether the agent's name may be a person's, too: stopping it would stop them everywhere."""
    return "@" in detection.agent or is_same_name(detection.agent, detection.principal)


def check_rules(settings: DetectionSettings, rules: Mapping[str, str]) -> None:
    """Raises ConfigError for a rule that there is not."""
    for name in settings.quarantine:
        if name not in rules:
            raise ConfigError(f"detection.quarantine: no rule {name!r}; there are: {', '.join(sorted(rules))}")


def _fits(pattern: str, text: str) -> bool:
    expression = ".*".join(re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(expression, text, re.DOTALL | re.IGNORECASE) is not None
