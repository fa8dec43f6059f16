"""run/store.json of a process that can no longer create files there once it is sealed off.

The file is made before, with room for the final text; later the open descriptor is overwritten in place, in one write
of the same length, so a reader sees the old text or the new one.
"""

import json
import os
from dataclasses import dataclass
from typing import Any, Final

from schemas.errors import CustodyError
from schemas.runtime import Home, now_us, write_private

STATE_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class StateFile:
    """An open run/<name>.json."""

    descriptor: int
    started_at: int

    @classmethod
    def open(cls, home: Home, name: str) -> "StateFile":
        """Publish `ready: false` and keep the file open."""
        started_at = now_us()
        path = home.run / f"{name}.json"
        write_private(path, _encode(False, {}, started_at, {}))
        return cls(os.open(path, os.O_WRONLY | os.O_CLOEXEC), started_at)

    def announce(self, ports: dict[str, int], detail: dict[str, Any]) -> None:
        """Publish `ready: true`."""
        os.pwrite(self.descriptor, _encode(True, ports, self.started_at, detail), 0)


def _encode(is_ready: bool, ports: dict[str, int], started_at: int, detail: dict[str, Any]) -> bytes:
    document = {"pid": os.getpid(), "ready": is_ready, "ports": ports, "started_at": started_at, "detail": detail}
    text = json.dumps(document)
    if len(text) > STATE_BYTES:
        raise CustodyError("the state of the store does not fit its file")
    return text.ljust(STATE_BYTES).encode()
