"""Rotating the keys that a running stack takes up by itself: the token key and the unsealing key."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from console.control import Place, require_home
from masking.tokens import KEY_BYTES
from schemas.errors import ConfigError
from schemas.keys import read_ring, rotate_file
from schemas.runtime import write_private
from schemas.wire.suites import KEMS, private_from


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """One key as `custody keys list` shows it; never the key itself."""

    purpose: str
    name: str
    kind: str
    state: str
    source: str


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did: the new key's name, and where the old key is kept, under secrets/."""

    purpose: str
    name: str
    kept: str


def list_keys(place: Place) -> list[KeyInfo]:
    """Every token and unsealing key there is, those in use first. Raises ConfigError."""
    require_home(place)
    return [*_list_token_keys(place), *_list_unseal_keys(place)]


def _list_token_keys(place: Place) -> list[KeyInfo]:
    reference = place.settings.masking.token_key
    names = read_ring(place.home, reference).names
    return [KeyInfo("token", name, "hmac-sha256", _state(i), _source(reference)) for i, name in enumerate(names)]


def _list_unseal_keys(place: Place) -> list[KeyInfo]:
    reference = place.settings.sealing.unseal_key
    keys = read_ring(place.home, reference).keys
    found = [private_from(raw).public_key() for raw in keys]
    return [
        KeyInfo("unseal", public.id, public.kem.name, _state(i), _source(reference)) for i, public in enumerate(found)
    ]


def _state(index: int) -> str:
    return "older" if index else "in use"


def _source(reference: str) -> str:
    """The kind of source, and the file's name; a command may hold what is nobody's business."""
    return reference if reference.startswith("file:") else reference.partition(":")[0]


def rotate_token(place: Place) -> Rotated:
    """A new token key; the old one goes on answering traces. Raises ConfigError."""
    name = _file_of(place.settings.masking.token_key, "masking.token_key")
    kept = rotate_file(require_home(place).home, name, lambda: os.urandom(KEY_BYTES))
    return Rotated("token", read_ring(place.home, f"file:{name}").names[0], kept)


def rotate_unseal(place: Place) -> Rotated:
    """A new unsealing key of the settings' kind: first its private half is durable, then proxies see the public one.

    The old key goes on opening what was sealed to it. Raises ConfigError.
    """
    name = _file_of(place.settings.sealing.unseal_key, "sealing.unseal_key")
    home = require_home(place).home
    kept = rotate_file(home, name, KEMS[place.settings.sealing.kem].generate)
    public = private_from(home.read_key(name)).public_key()
    write_private(home.public / "unseal.pub", public.raw)
    return Rotated("unseal", public.id, kept)


ROTATIONS: Final[Mapping[str, Callable[[Place], Rotated]]] = {"token": rotate_token, "unseal": rotate_unseal}


def _file_of(reference: str, setting: str) -> str:
    kind, _, name = reference.partition(":")
    if kind != "file":
        raise ConfigError(f"{setting} comes from {kind}: rotate it there, then restart the stack")
    return name
