"""Signing, witnessing and publishing: in order, without holding up the log, and telling what is not witnessed."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from schemas.errors import Unreachable
from sinks.transparency import cosigning
from sinks.transparency.log import Log, read_checkpoint
from sinks.transparency.note import find_signature, parse_note
from sinks.transparency.publisher import Published, Publisher, explain
from sinks.transparency.quorum import Policy, Witness, find_cosigners, format_policy, parse_policy
from sinks.transparency.storage import DirectoryStorage
from tests.sinks.transparency.logs import SIGNER, VERIFIER, append, entries, open_log
from tests.sinks.transparency.witnessing import run_witness


def make_publisher(directory: Path, log: Log, policy: Policy, **options: object) -> tuple[Publisher, list[Published]]:
    told: list[Published] = []
    publisher = Publisher(
        log,
        DirectoryStorage(directory / "log"),
        SIGNER,
        policy,
        interval_s=0.0,
        note=told.append,
        **options,  # type: ignore[arg-type]
    )
    return publisher, told


def turn_until(publisher: Publisher, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, explain(publisher)
        publisher.work()
        time.sleep(0.005)


def published(directory: Path) -> tuple[int, bytes]:
    found = read_checkpoint(DirectoryStorage(directory / "log"))
    return (found[0].size, found[1]) if found else (-1, b"")


def policy_of(*witnesses: Witness, needed: int) -> Policy:
    return parse_policy(format_policy([VERIFIER], list(witnesses), needed))


def test_checkpoints_come_with_the_cosignatures_of_the_quorum(tmp_path: Path) -> None:
    with ExitStack() as stack:
        witnesses = [stack.enter_context(run_witness(tmp_path / f"w{n}", n)) for n in range(2)]
        policy = policy_of(*witnesses, needed=2)
        log = open_log(tmp_path)
        publisher, told = make_publisher(tmp_path, log, policy)
        for size in (0, 1, 300, 700):
            append(log, entries(log.size, size))
            publisher.flush()
            found, data = published(tmp_path)
            note = parse_note(data)
            assert found == size and find_signature(note, VERIFIER) is not None
            assert sorted(find_cosigners(note, policy)) == ["w0", "w1"]
        assert [item.head.size for item in told] == [0, 1, 300, 700]
        assert all(item.is_witnessed for item in told) and explain(publisher) == ""
        publisher.close()
        log.close()


def test_without_the_quorum_the_log_goes_on_says_so_and_catches_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosigning, "FIRST_BACKOFF_S", 0.01)
    monkeypatch.setattr("sinks.transparency.publisher.REPEAT_S", 0.05)
    with run_witness(tmp_path / "w0") as witness:
        port = int(witness.url.rpartition(":")[2])
    log = open_log(tmp_path)
    publisher, told = make_publisher(tmp_path, log, policy_of(witness, needed=1), clock=lambda: 1234.0)
    append(log, entries(0, 10))
    publisher.flush()
    assert published(tmp_path)[0] == 10 and not told[-1].is_witnessed
    assert publisher.unwitnessed_since == 1234.0 and "w0" in explain(publisher)
    with run_witness(tmp_path / "w0", port=port):
        turn_until(publisher, lambda: told[-1].is_witnessed)  # nothing new was appended
    assert publisher.unwitnessed_since == 0.0 and explain(publisher) == ""
    assert find_signature(parse_note(published(tmp_path)[1]), witness.key) is not None
    publisher.close()
    log.close()


def test_where_the_quorum_is_required_nothing_else_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosigning, "FIRST_BACKOFF_S", 0.01)
    with run_witness(tmp_path / "w0") as witness:
        port = int(witness.url.rpartition(":")[2])
    log = open_log(tmp_path)
    publisher, told = make_publisher(tmp_path, log, policy_of(witness, needed=1), requires_quorum=True)
    append(log, entries(0, 10))
    turn_until(publisher, lambda: publisher.unwitnessed_since)
    assert published(tmp_path)[0] == -1 and not told
    with run_witness(tmp_path / "w0", port=port):
        turn_until(publisher, lambda: told)
    assert published(tmp_path)[0] == 10
    publisher.close()
    log.close()


def test_a_witness_that_hangs_does_not_hold_up_what_is_appended(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with run_witness(tmp_path / "w0") as real:
            witness = Witness("w0", real.key, url)
        log = open_log(tmp_path)
        publisher, told = make_publisher(tmp_path, log, policy_of(witness, needed=1))
        append(log, entries(0, 10))
        publisher.work()
        for _ in range(20):
            append(log, entries(log.size, log.size + 10))
            publisher.work()
        assert log.size == 210 and not told
        turn_until(publisher, lambda: told)
        publisher.close()
        log.close()


def test_without_the_logs_key_appending_goes_on_and_signing_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.transparency.publisher.REPEAT_S", 0.01)

    class Token:
        """A key that is out of reach for a while."""

        public_key = SIGNER.public_key
        is_there = False

        def sign(self, message: bytes) -> bytes:
            if not self.is_there:
                raise Unreachable("no token in the slot")
            return SIGNER.sign(message)

    token = Token()
    log = open_log(tmp_path)
    storage = DirectoryStorage(tmp_path / "log")
    publisher = Publisher(log, storage, token, policy_of(needed=0), interval_s=0.0)
    append(log, entries(0, 10))
    turn_until(publisher, lambda: explain(publisher))
    assert "no token in the slot" in explain(publisher) and published(tmp_path)[0] == -1
    append(log, entries(10, 20))
    publisher.flush()  # ends soon, though nothing can be signed
    token.is_there = True
    turn_until(publisher, lambda: published(tmp_path)[0] == 20)
    assert explain(publisher) == ""
    publisher.close()
    log.close()
