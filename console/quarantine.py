"""Stopping an agent, a principal or a session, and lifting that: entries of control, which every proxy goes by."""

from dataclasses import dataclass

from pydantic import ValidationError

from console import control
from console.control import Place
from schemas.approvals import Quarantine
from schemas.config import faults_of
from schemas.errors import ConfigError
from schemas.events import ControlKind
from schemas.runtime import now_us
from schemas.wire.control import ControlView


@dataclass(frozen=True, slots=True)
class Entry:
    """Who is stopped. `at` is in µs since the epoch, UTC; what an older version left out is empty."""

    kind: str
    name: str
    reason: str
    by: str
    at: int


def place_quarantine(place: Place, kind: str, name: str, reason: str, by: str) -> Quarantine:
    """Live sessions end within a second, new ones are refused with the reason. Raises ConfigError, Unreachable."""
    values = {"kind": kind, "name": name, "reason": reason, "by": by, "at": now_us()}
    try:
        entry = Quarantine.model_validate(values)
    except ValidationError as error:
        raise ConfigError(faults_of(error, "quarantine")) from None
    control.put_entry(place, ControlKind.QUARANTINE, entry.id, entry.model_dump(mode="json"))
    return entry


def lift_quarantine(place: Place, view: ControlView, kind: str, name: str) -> bool:
    """Let new sessions be again; False when nobody of that name is stopped. Raises Unreachable."""
    id = f"{kind}:{name}"
    if view.get(ControlKind.QUARANTINE, id) is None:
        return False
    control.write_changes(place, control.plan({(ControlKind.QUARANTINE, id): None}, view), view)
    return True


def list_quarantined(view: ControlView) -> list[Entry]:
    """Who is stopped, by kind and name."""
    found = []
    for id, payload in sorted(view.all(ControlKind.QUARANTINE).items()):
        kind, _, name = id.partition(":")
        reason, by, at = (payload.get(key, "") for key in ("reason", "by", "at"))
        found.append(Entry(kind, name, str(reason), str(by), at if isinstance(at, int) else 0))
    return found
