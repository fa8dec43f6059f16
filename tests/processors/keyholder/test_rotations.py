"""A rotated key is noted in the trail once, also when it was rotated while nobody ran."""

from pathlib import Path
from typing import Any, cast

from processors.keyholder.rotations import Rotations
from schemas.events import EventKind
from schemas.wire.trail import Trail


class Notes:
    """A trail that only remembers what it was told: the broker's part is in test_trail.py."""

    def __init__(self) -> None:
        self.noted: list[tuple[EventKind, dict[str, str]]] = []

    async def note(self, kind: EventKind, **attributes: str) -> None:
        self.noted.append((kind, attributes))


async def test_each_rotation_is_noted_once_also_over_a_restart(tmp_path: Path) -> None:
    notes: Any = Notes()
    path = tmp_path / "keyholder" / "keys.json"
    rotations = Rotations(path, cast(Trail, notes))
    assert await rotations.note({"token": "t1", "unseal": "u1"}) == []  # the first names are no rotation
    assert await rotations.note({"token": "t2", "unseal": "u1"}) == ["token"]
    assert await rotations.note({"token": "t2", "unseal": "u1"}) == []
    again = Rotations(path, cast(Trail, notes))
    assert await again.note({"token": "t2", "unseal": "u2"}) == ["unseal"]
    assert [kind for kind, _ in notes.noted] == [EventKind.KEY_ROTATED] * 2
    assert notes.noted[0][1] == {"purpose": "token", "key": "t2", "previous": "t1"}


async def test_a_torn_file_only_forgets(tmp_path: Path) -> None:
    notes: Any = Notes()
    path = tmp_path / "keys.json"
    for text in ("{", "[1]", ""):
        path.write_text(text)
        assert await Rotations(path, cast(Trail, notes)).note({"token": "t1"}) == []
    assert notes.noted == []
