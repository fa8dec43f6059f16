"""The console's side of control: what is registered, and bringing it to what is wanted with the fewest writes."""

import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from schemas.config import Settings, find_settings
from schemas.errors import ConfigError, Unreachable
from schemas.events import ControlKind
from schemas.resources import Resource
from schemas.runtime import Home, find_home
from schemas.wire.control import ControlView, ControlWriter
from schemas.wire.startup import choose_framing

COMPONENT = "api"
TIMEOUT_S = 15.0

Wanted = dict[tuple[ControlKind, str], dict[str, Any] | None]
"""Key -> payload as it should be; None: absent."""


@dataclass(frozen=True, slots=True)
class Change:
    """One entry that is not as it should be. `action` is added, changed or removed."""

    kind: ControlKind
    id: str
    action: str
    payload: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Place:
    """The home and the settings a command works with."""

    home: Home
    settings: Settings


def find_place() -> Place:
    """The home named by the environment. Raises ConfigError."""
    home = Home(find_home())
    settings = find_settings(home)
    choose_framing(settings, is_lazy=True)
    return Place(home, settings)


def require_home(place: Place) -> Place:
    """Raises ConfigError when the home was never set up."""
    fault = fault_of_home(place)
    if fault:
        raise ConfigError(fault)
    return place


def fault_of_home(place: Place) -> str:
    """What to do where the home was never set up; empty where it was."""
    if place.home.secrets.is_dir():
        return ""
    return f"nothing is set up in {place.home.root}: run `custody up` (or set CUSTODY_HOME)"


@contextmanager
def open_view(place: Place) -> Iterator[ControlView]:
    """Control as it is now. Raises Unreachable."""
    require_home(place)
    require_broker(place)
    view = ControlView(place.settings, place.home, COMPONENT)
    try:
        try:
            view.start(TIMEOUT_S)
        except Unreachable as error:
            raise Unreachable(f"{error} (broker {place.settings.bootstrap()}; see `custody status`)") from None
        yield view
    finally:
        view.close()


def require_broker(place: Place) -> None:
    """Raises Unreachable at once when nothing listens for the embedded broker, as while the stack is down."""
    if place.settings.kafka.bootstrap:
        return
    try:
        socket.create_connection(("127.0.0.1", place.settings.ports.kafka), TIMEOUT_S).close()
    except OSError:
        address = place.settings.bootstrap()
        raise Unreachable(f"the broker at {address} does not answer; see `custody status`") from None


def plan(wanted: Wanted, view: ControlView) -> list[Change]:
    """What has to be written, and nothing else."""
    return plan_changes(wanted, {key: view.get(*key) for key in wanted})


def plan_changes(wanted: Wanted, present: Mapping[tuple[ControlKind, str], dict[str, Any] | None]) -> list[Change]:
    """The entries of `wanted` that differ from `present`."""
    changes = []
    for (kind, id), payload in wanted.items():
        known = present.get((kind, id))
        if _canonical(known) != _canonical(payload):
            action = "removed" if payload is None else "added" if known is None else "changed"
            changes.append(Change(kind, id, action, payload))
    return changes


def write_changes(place: Place, changes: Iterable[Change], view: ControlView) -> None:
    """Write changes in order; every one is durable and read back. Raises Unreachable."""
    writer: ControlWriter | None = None
    for change in changes:
        writer = writer or ControlWriter(place.settings, place.home)
        writer.put(change.kind, change.id, change.payload)
    if writer is not None and not view.refresh(TIMEOUT_S):
        raise Unreachable("control was written but could not be read back")


def put_entry(place: Place, kind: ControlKind, id: str, payload: dict[str, Any] | None) -> None:
    """Write one entry without asking what is there. Raises Unreachable."""
    require_home(place)
    ControlWriter(place.settings, place.home).put(kind, id, payload)


def resources_of(view: ControlView) -> dict[str, Resource]:
    """The registered resources by name. Raises ConfigError for one that this version cannot read."""
    found = {}
    for name, payload in sorted(view.all(ControlKind.RESOURCE).items()):
        try:
            found[name] = Resource.model_validate(payload)
        except ValidationError:
            raise ConfigError(f"resource {name} in control is malformed: remove it and add it again") from None
    return found


def require_resource(view: ControlView, name: str) -> Resource:
    """One registered resource. Raises ConfigError, naming those there are."""
    found = resources_of(view)
    if name not in found:
        raise ConfigError(f"no resource {name!r}; there are: {', '.join(found) or 'none'}")
    return found[name]


def _canonical(payload: dict[str, Any] | None) -> str:
    return json.dumps(payload, sort_keys=True) if payload else ""
