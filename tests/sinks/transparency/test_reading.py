"""Reading a whole log: the root is made from entries alone, and nothing about them is believed."""

from pathlib import Path

import pytest

from schemas.errors import ProofError
from schemas.events import RetentionAction, RetentionVerb
from schemas.wire import framing
from sinks.transparency.leaf import Coordinates, KeyLeaf, encode_key, encode_retention
from sinks.transparency.log import LogReader
from sinks.transparency.note import Verifier
from sinks.transparency.orders import Orders
from sinks.transparency.quorum import parse_policy
from sinks.transparency.reading import check_continues, iterate_bundles, read_head, verify_head, verify_tree
from sinks.transparency.storage import DirectoryStorage
from tests.sinks.transparency.logs import VERIFIER, append, entries, open_log, publish, write_log

POLICY = parse_policy(f"log {VERIFIER.vkey}\nquorum none\n")


def verify(directory: Path) -> None:
    storage = DirectoryStorage(directory / "log")
    head = read_head(storage, POLICY)
    reader = LogReader(storage, head.checkpoint.size)
    verify_tree(reader, head.checkpoint.root, {}, Orders(), lambda index, leaf: None)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries of the test are no leaves; only their hashes matter."""
    monkeypatch.setattr("sinks.transparency.reading._COMMON", frozenset((b"n",)))


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 700])
def test_a_whole_log_verifies_without_its_hash_tiles(size: int, tmp_path: Path, bare: None) -> None:
    write_log(tmp_path, size)
    for path in (tmp_path / "log" / "tile").rglob("*"):
        if path.is_file() and "entries" not in path.parts:
            path.unlink()
    verify(tmp_path)
    reader = LogReader(DirectoryStorage(tmp_path / "log"), size)
    assert [entry for _, found in iterate_bundles(reader) for entry in found] == entries(0, size)


def test_any_altered_entry_is_found(tmp_path: Path, bare: None) -> None:
    write_log(tmp_path, 300)
    for path in ("tile/entries/000", "tile/entries/001.p/44"):
        file = tmp_path / "log" / path
        data = file.read_bytes()
        file.write_bytes(data[:4] + b"X" + data[5:])
        with pytest.raises(ProofError, match="do not make the root"):
            verify(tmp_path)
        file.write_bytes(data[:-1])
        with pytest.raises(ProofError):
            verify(tmp_path)
        file.write_bytes(data)
    verify(tmp_path)


def test_an_earlier_head_must_be_continued(tmp_path: Path) -> None:
    log = open_log(tmp_path / "one")
    append(log, entries(0, 100))
    early = verify_head(publish(log), POLICY)
    append(log, entries(100, 300))
    late = verify_head(publish(log), POLICY)
    log.close()
    reader = LogReader(DirectoryStorage(tmp_path / "one" / "log"), 300)
    check_continues(reader, late, early)
    with pytest.raises(ProofError, match="rolled back"):
        check_continues(reader, early, late)
    fork = open_log(tmp_path / "two")
    append(fork, entries(1, 301))
    other = verify_head(publish(fork), POLICY)
    fork.close()
    with pytest.raises(ProofError, match="consistent"):
        check_continues(LogReader(DirectoryStorage(tmp_path / "two" / "log"), 300), other, early)


def test_no_head_and_no_key_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ProofError, match="no checkpoint"):
        read_head(DirectoryStorage(tmp_path), POLICY)
    note = write_log(tmp_path, 1)
    other = Verifier(VERIFIER.name, VERIFIER.algorithm, bytes(32))
    with pytest.raises(ProofError, match="no key of the log"):
        verify_head(note, parse_policy(f"log {other.vkey}\nquorum none\n"))


def test_orders_and_keys_are_noted(tmp_path: Path) -> None:
    order = RetentionAction("o-1", RetentionVerb.DONE, "standard", "2026-01-01", 5, "max age")
    body = framing.encode(order)
    log = open_log(tmp_path)
    append(log, [encode_retention(Coordinates("r", 0, 0), body[2:10], body[10:]), encode_key("k+1+AAAA")])
    publish(log)
    log.close()
    storage = DirectoryStorage(tmp_path / "log")
    head = read_head(storage, POLICY)
    reader = LogReader(storage, 2)
    orders, noted = Orders(), []
    schemas = {framing.current_fingerprint("RetentionAction"): framing.load_avsc("RetentionAction")}
    verify_tree(reader, head.checkpoint.root, schemas, orders, lambda index, leaf: noted.append((index, leaf)))
    assert orders.done_without_order == ["o-1"] and noted == [(1, KeyLeaf("k+1+AAAA"))]
    with pytest.raises(ProofError, match="schema that is not known"):
        verify_tree(reader, head.checkpoint.root, {}, Orders(), lambda index, leaf: None)
