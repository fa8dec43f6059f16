"""A directory as storage: whole objects, durable when it says so."""

import os
from pathlib import Path

import pytest

from schemas.errors import Unreachable
from sinks.transparency import storage
from sinks.transparency.storage import DirectoryStorage, replace_file


def test_objects_are_written_read_listed_and_deleted(tmp_path: Path) -> None:
    place = DirectoryStorage(tmp_path / "log")
    assert place.read("checkpoint") is None and place.list_widths("tile/0/000") == []
    place.write("tile/0/000.p/3", b"abc")
    place.write("tile/0/000.p/12", b"abcd")
    place.write("tile/0/000", b"full")
    place.write("checkpoint", b"note", is_durable=True)
    assert place.read("tile/0/000.p/3") == b"abc" and place.read("tile/0/000") == b"full"
    assert place.list_widths("tile/0/000") == [3, 12]
    place.sync()
    place.delete("tile/0/000.p/3")
    place.delete("tile/0/000.p/3")
    assert place.read("tile/0/000.p/3") is None
    assert not [path for path in (tmp_path / "log").rglob(".*")]


def test_sync_reaches_every_file_and_every_directory_that_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(storage, "sync_path", synced.append)
    place = DirectoryStorage(tmp_path / "log")
    place.write("tile/0/x001/234", b"abc")
    place.sync()
    root = tmp_path / "log"
    assert synced[0] == root / "tile/0/x001/234"
    assert set(synced[1:]) == {root / "tile/0/x001", root / "tile/0", root / "tile", root}
    synced.clear()
    place.sync()
    assert synced == []


def test_a_directory_that_cannot_be_written_is_unreachable(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file where the directory should be")
    place = DirectoryStorage(tmp_path / "log")
    with pytest.raises(Unreachable):
        place.write("tile/0/000", b"abc")
    assert place.read("tile/0/000") is None


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    replace_file(tmp_path / "state", b"one")
    replace_file(tmp_path / "state", b"two")
    assert (tmp_path / "state").read_bytes() == b"two"
    assert os.stat(tmp_path / "state").st_mode & 0o777 == 0o600
