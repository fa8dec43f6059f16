"""The sequencer's journal: what was committed is there, what is torn is cut, one writer at a time."""

import json
import multiprocessing
from pathlib import Path

import pytest

from schemas.errors import ConfigError, ProofError
from sinks.transparency.journal import Commit, Journal, State

POSITIONS = {"topic": {3: ("log-1", 41)}}


def make_commit(size: int) -> Commit:
    return Commit(size, 1, size.to_bytes(32, "big"), POSITIONS, b"\x00\x01x")


def replay(directory: Path) -> tuple[State, list[Commit]]:
    journal = Journal(directory)
    try:
        state, commits = journal.load()
        return state, list(commits)
    finally:
        journal.close()


def fill(directory: Path, count: int) -> int:
    """Commits of size 1 to `count`; the journal's length."""
    journal = Journal(directory)
    list(journal.load()[1])
    for size in range(1, count + 1):
        journal.append(make_commit(size))
    journal.close()
    return (directory / "journal").stat().st_size


def test_commits_come_back_in_order(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    state, commits = replay(tmp_path)
    assert state == State() and commits == [make_commit(size) for size in (1, 2, 3)]


def test_a_torn_record_is_cut_off_wherever_it_is_torn(tmp_path: Path) -> None:
    length = fill(tmp_path, 2)
    whole = (tmp_path / "journal").read_bytes()
    for end in range(length // 2 + 1, length):
        (tmp_path / "journal").write_bytes(whole[:end])
        assert [commit.size for commit in replay(tmp_path)[1]] == [1]
        assert (tmp_path / "journal").stat().st_size == length // 2
    rotten = whole[: length - 1] + b"y"
    (tmp_path / "journal").write_bytes(rotten)
    assert [commit.size for commit in replay(tmp_path)[1]] == [1]


def test_what_the_snapshot_holds_is_not_replayed(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    journal = Journal(tmp_path)
    records = (tmp_path / "journal").read_bytes()
    state = State(2, b"\x02" * 32, POSITIONS, [[b"\x01" * 32], [b"\x02" * 32]], [b"\x00\x01a"])
    journal.cut(state)
    assert (tmp_path / "journal").stat().st_size == 0
    journal.append(make_commit(3))
    journal.close()
    assert replay(tmp_path) == (state, [make_commit(3)])
    (tmp_path / "journal").write_bytes(records)  # as a crash between snapshot and cut leaves it
    assert replay(tmp_path) == (state, [make_commit(3)])


def test_a_second_writer_is_refused_and_one_without_its_lock_stops(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(ConfigError, match="another process"):
        Journal(tmp_path)
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=Journal, args=(tmp_path,))
    child.start()
    child.join(60)
    assert child.exitcode == 1
    (tmp_path / "lock").unlink()
    second = Journal(tmp_path)  # somebody removed the lock file by hand
    for act in (lambda: journal.append(make_commit(1)), lambda: journal.cut(State())):
        with pytest.raises(ConfigError, match="another writer"):
            act()
    second.append(make_commit(1))
    second.close()
    journal.close()


def test_a_damaged_snapshot_is_refused(tmp_path: Path) -> None:
    for text in ("", "{", json.dumps({"size": 1}), json.dumps({"size": "x", "root": ""})):
        (tmp_path / "snapshot").write_text(text)
        with pytest.raises(ProofError, match="snapshot"):
            replay(tmp_path)
