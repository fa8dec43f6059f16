"""Placing, releasing and counting legal holds."""

import os
import re
import secrets
from dataclasses import dataclass
from typing import Any, Final

from console.control import Place, open_view, put_entry
from console.store import Store
from schemas.errors import ConfigError
from schemas.events import ControlKind
from schemas.holds import HELD, OPENING_BYTES, LegalHold, parse_hold
from schemas.runtime import now_us
from sinks.clickhouse.holding import select_held_events

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
HELD_EVENTS: Final = f"""
SELECT count() AS stored, countIf(retention_class = '{HELD}') AS moved, uniqExact(session_id) AS sessions
FROM custody.events WHERE """  # noqa: S608 - the class is a constant


@dataclass(frozen=True, slots=True)
class HeldCount:
    """What of a hold is in the store now; `moved` of the events are past their day."""

    events: int
    moved: int
    sessions: int


def place_hold(
    place: Place, criteria: dict[str, Any], *, authority: str, reason: str, by: str, approved_by: str, id: str = ""
) -> tuple[str, LegalHold]:
    """Place a hold; it is durable and in force when this returns. Raises ConfigError, Unreachable."""
    id = id or f"hold-{secrets.token_hex(4)}"
    if not _ID.fullmatch(id):
        raise ConfigError(f"{id!r} is no name for a hold: letters, digits, dots and dashes")
    people = {"placed_by": by, "approved_by": approved_by, "placed_at": now_us()}
    document = {**criteria, **people, "authority": authority, "reason": reason}
    hold = parse_hold(id, {**document, "opening": os.urandom(OPENING_BYTES).hex()})
    with open_view(place) as view:
        if view.get(ControlKind.LEGAL_HOLD, id) is not None:
            raise ConfigError(f"there is a hold {id} already, or was one: take another name")
        put_entry(place, ControlKind.LEGAL_HOLD, id, hold.payload())
    return id, hold


def release_hold(place: Place, id: str, *, reason: str, by: str, approved_by: str) -> LegalHold:
    """Release a hold: what it kept goes when its time has come. Raises ConfigError, Unreachable."""
    with open_view(place) as view:
        payload = view.get(ControlKind.LEGAL_HOLD, id)
        if payload is None:
            raise ConfigError(f"there is no hold {id}")
        hold = parse_hold(id, payload)
        if not hold.is_active:
            raise ConfigError(f"hold {id} was released by {hold.released_by} already")
        if not reason.strip():
            raise ConfigError("a release needs a reason")
        release = {"released_by": by, "release_approved_by": approved_by, "released_at": now_us()}
        released = parse_hold(id, {**payload, **release, "release_reason": reason})
        put_entry(place, ControlKind.LEGAL_HOLD, id, released.payload())
    return released


def list_holds(place: Place) -> dict[str, LegalHold]:
    """Every hold, released ones too, in the order in which they were placed. Raises ConfigError, Unreachable."""
    with open_view(place) as view:
        found = {id: parse_hold(id, payload) for id, payload in view.all(ControlKind.LEGAL_HOLD).items()}
    return dict(sorted(found.items(), key=lambda item: item[1].placed_at))


def count_held(store: Store, hold: LegalHold) -> HeldCount:
    """What of a hold is in the store. Raises QueryFailed, Unreachable."""
    row = store.one(HELD_EVENTS + select_held_events(hold))
    return HeldCount(row["stored"], row["moved"], row["sessions"])


def describe_criteria(hold: LegalHold) -> str:
    """What a hold selects, on one line."""
    from console.output import format_time, from_us

    times = {"since": format_time(from_us(hold.since)), "until": format_time(from_us(min(hold.until, 1 << 55)))}
    shown = {name: getattr(hold, name) for name in ("session", "agent", "principal", "resource", "token")}
    shown |= {name: text for name, text in times.items() if getattr(hold, name)}
    return ", ".join(f"{name} {value}" for name, value in shown.items() if value)
