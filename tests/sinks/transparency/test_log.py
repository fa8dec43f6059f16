"""The log as a whole: any reader finds one history, whatever happened to its writer."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.errors import ProofError, Unreachable
from sinks.transparency.log import Log, LogReader, read_checkpoint
from sinks.transparency.merkle import check_consistency, check_inclusion, hash_leaf
from sinks.transparency.note import open_checkpoint
from sinks.transparency.storage import DirectoryStorage
from sinks.transparency.tiles import CHECKPOINT
from tests.sinks.transparency.logs import ORIGIN, VERIFIER, append, entries, entry, open_log, publish, write_log
from tests.sinks.transparency.rfc6962 import tree_hash

ROOT = Path(__file__).parents[3]


def read(directory: Path) -> tuple[int, bytes, LogReader]:
    storage = DirectoryStorage(directory / "log")
    data = storage.read(CHECKPOINT)
    assert data is not None
    checkpoint, _ = open_checkpoint(data, [VERIFIER])
    return checkpoint.size, checkpoint.root, LogReader(storage, checkpoint.size)


def test_every_size_has_the_root_of_the_rfc_and_only_its_own_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("fsync", "fdatasync"):  # what they are good for is shown below
        monkeypatch.setattr(os, name, lambda descriptor: None)
    log = open_log(tmp_path)
    for size in range(601):
        if size:
            append(log, [entry(size - 1)])
        publish(log)
        if size % 16 in (0, 1, 15):
            found, root, reader = read(tmp_path)
            assert found == size and root == tree_hash(entries(0, size))
            assert [item for n in range((size + 255) // 256) for item in reader.bundle(n)] == entries(0, size)
    log.close()
    partial = sorted(str(path.relative_to(tmp_path / "log")) for path in (tmp_path / "log").rglob("*.p/*"))
    # What a full tile replaced is gone; what an earlier checkpoint of the last tile names is still served.
    assert len([path for path in partial if path.startswith("tile/0/")]) == 600 - 512
    assert all("002.p" in path for path in partial if not path.startswith("tile/1/"))


def test_proofs_out_of_tiles_verify_at_the_edges(tmp_path: Path) -> None:
    size = 65_537 + 300
    write_log(tmp_path, size)
    found, root, reader = read(tmp_path)
    assert found == size
    for index in (0, 1, 255, 256, 65_535, 65_536, size - 1):
        check_inclusion(reader.prove_inclusion(index), index, hash_leaf(entry(index)), size, root)
    for old in (1, 255, 256, 257, 65_535, 65_536, 65_537, size - 1, size):
        check_consistency(reader.prove_consistency(old), old, reader.root_at(old), size, root)
        index = old - 1
        proof = reader.prove_inclusion(index, old)
        check_inclusion(proof, index, hash_leaf(entry(index)), old, reader.root_at(old))


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    for first, end in ((0, 1), (1, 255), (255, 256), (256, 700), (700, 701)):
        log = open_log(tmp_path)
        assert log.size == first
        append(log, entries(first, end), {"topic": {1: ("log-1", end)}})
        publish(log)
        assert log.positions == {"topic": {1: ("log-1", end)}}
        if end % 2:
            log.settle()
        log.close()
    assert read(tmp_path)[1] == tree_hash(entries(0, 701))


@pytest.mark.parametrize("how", ["kill", "power"])
def test_killed_at_every_write_there_is_one_history(tmp_path: Path, how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.sinks.transparency.crash", str(tmp_path), "1000", how],
        cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["killed"] == told["calls"] > 100


def test_a_log_put_back_to_an_older_state_signs_nothing(tmp_path: Path) -> None:
    write_log(tmp_path, 300)
    shutil.copytree(tmp_path / "state", tmp_path / "backup")
    log = open_log(tmp_path)
    append(log, entries(300, 310))
    publish(log)
    log.close()
    shutil.rmtree(tmp_path / "state")
    shutil.copytree(tmp_path / "backup", tmp_path / "state")
    with pytest.raises(ProofError, match="put back to an older state"):
        open_log(tmp_path)


def test_another_published_tree_stops_it(tmp_path: Path) -> None:
    write_log(tmp_path / "one", 300)
    other = open_log(tmp_path / "other")
    append(other, entries(1, 300))
    note = publish(other)
    other.close()
    (tmp_path / "one" / "log" / CHECKPOINT).write_bytes(note)
    with pytest.raises(ProofError, match="another root"):
        open_log(tmp_path / "one")
    (tmp_path / "one" / "log" / CHECKPOINT).write_bytes(note.replace(ORIGIN.encode(), b"another.example/log"))
    with pytest.raises(ProofError, match=r"holds the log another\.example"):
        open_log(tmp_path / "one")


@pytest.mark.parametrize("what", ["tile/0/000", "tile/0/001"])
def test_an_altered_or_missing_tile_at_the_edge_stops_it(tmp_path: Path, what: str) -> None:
    write_log(tmp_path, 600)
    log = open_log(tmp_path)
    log.settle()
    log.close()
    tile = tmp_path / "log" / what
    data = tile.read_bytes()
    tile.write_bytes(bytes((data[0] ^ 1,)) + data[1:])
    with pytest.raises(ProofError, match="does not follow"):
        open_log(tmp_path)
    tile.unlink()
    with pytest.raises(ProofError, match="missing"):
        open_log(tmp_path)


def test_a_storage_that_refuses_for_a_while_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = open_log(tmp_path)
    real, is_away = DirectoryStorage.write, True

    def write(self: DirectoryStorage, path: str, data: bytes, *, is_durable: bool = False) -> None:
        if is_away:
            raise Unreachable("the disk is full")
        real(self, path, data, is_durable=is_durable)

    monkeypatch.setattr(DirectoryStorage, "write", write)
    append(log, entries(0, 600))
    append(log, entries(600, 601))
    with pytest.raises(Unreachable):
        publish(log)
    is_away = False
    publish(log)
    log.close()
    assert read(tmp_path)[1] == tree_hash(entries(0, 601))


def test_readers_name_what_is_missing(tmp_path: Path) -> None:
    write_log(tmp_path, 600)
    (tmp_path / "log" / "tile/entries/001").unlink()
    _, _, reader = read(tmp_path)
    with pytest.raises(ProofError, match="entries from 256 on are missing"):
        reader.bundle(1)
    with pytest.raises(ProofError, match="never had"):
        reader.root_at(601)
    with pytest.raises(ProofError, match="no leaf"):
        reader.prove_inclusion(600)
    assert read_checkpoint(DirectoryStorage(tmp_path / "nothing")) is None


def test_a_reader_of_an_old_checkpoint_finds_its_partial_tiles(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    append(log, entries(0, 100))
    publish(log)
    old = LogReader(DirectoryStorage(tmp_path / "log"), 100)
    append(log, entries(100, 300))
    publish(log)
    log.close()
    assert old.bundle(0) == entries(0, 100)
    assert old.root_at(100) == tree_hash(entries(0, 100))


def test_a_log_is_written_by_one_process(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    with pytest.raises(Exception, match="another process"):
        Log(DirectoryStorage(tmp_path / "log"), tmp_path / "state", ORIGIN)
    log.close()
