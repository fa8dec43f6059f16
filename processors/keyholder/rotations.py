"""Notes in the trail that a key was rotated, also when nobody was running then. Holds the names of keys, no keys."""

import json
from pathlib import Path
from typing import Final

from schemas.events import EventKind
from schemas.runtime import write_private
from schemas.wire.trail import Trail

FILE: Final = "keys.json"


class Rotations:
    """Remembers the names of the keys in use, by purpose."""

    def __init__(self, path: Path, trail: Trail) -> None:
        self._path = path
        self._trail = trail
        self._known = _load(path)

    async def note(self, names: dict[str, str]) -> list[str]:
        """Record each purpose whose key is another than before; which these are. Raises AuditUnavailable."""
        changed = [purpose for purpose, name in names.items() if self._known.get(purpose, name) != name]
        for purpose in changed:
            await self._trail.note(
                EventKind.KEY_ROTATED, purpose=purpose, key=names[purpose], previous=self._known[purpose]
            )
        if self._known != names:
            self._known = dict(names)
            write_private(self._path, json.dumps(names).encode())
        return changed


def _load(path: Path) -> dict[str, str]:
    try:
        document = json.loads(path.read_bytes())
        return {str(purpose): str(name) for purpose, name in document.items()}
    except (OSError, ValueError, AttributeError):
        return {}
