"""The witness: what it signs, what it never signs, and that it remembers before it answers."""

import hashlib
import http.client
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigError, ProofError
from sinks.transparency.cosigning import make_request
from sinks.transparency.log import LogReader
from sinks.transparency.merkle import EMPTY_ROOT
from sinks.transparency.note import (
    Checkpoint,
    Note,
    check_signature,
    find_signature,
    parse_checkpoint,
    parse_note,
    parse_signature,
    sign_checkpoint,
)
from sinks.transparency.storage import DirectoryStorage
from sinks.transparency.witness import parse_request, read_states
from tests.sinks.transparency.logs import ORIGIN, SIGNER, write_log
from tests.sinks.transparency.witnessing import make_state, run_witness

ROOT = Path(__file__).parents[3]
NAME = hashlib.sha256(ORIGIN.encode()).hexdigest()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> LogReader:
    directory = tmp_path_factory.mktemp("log")
    write_log(directory, 300)
    return LogReader(DirectoryStorage(directory / "log"), 300)


def sign(size: int, root: bytes, origin: str = ORIGIN) -> Note:
    checkpoint = Checkpoint(origin, size, root)
    return Note(checkpoint.text, (sign_checkpoint(checkpoint, SIGNER),))


def request(reader: LogReader, old: int, size: int) -> bytes:
    return make_request(old, reader.prove_consistency(old, size), sign(size, reader.root_at(size)))


def test_it_signs_what_continues_what_it_signed(reader: LogReader, tmp_path: Path) -> None:
    state = make_state(tmp_path)
    for old, size in ((0, 1), (1, 1), (1, 200), (200, 256), (256, 300)):
        answer = state.add_checkpoint(request(reader, old, size))
        assert answer.status == 200, answer
        text = parse_note(state.read_latest(NAME) or b"").text
        assert parse_checkpoint(text).size == size
        check_signature(text, parse_signature(answer.body.decode().rstrip("\n")), state.verifier)
    assert read_states(tmp_path)[ORIGIN].size == 300


def test_it_never_signs_what_contradicts(reader: LogReader, tmp_path: Path) -> None:
    state = make_state(tmp_path)
    assert state.add_checkpoint(request(reader, 0, 200)).status == 200
    before = state.read_latest(NAME)
    fork = sign(200, b"\x01" * 32)
    cases = {
        "a fork of the same size": (409, make_request(200, [], fork)),
        "a fork that is longer": (422, make_request(200, reader.prove_consistency(200, 300), sign(300, bytes(32)))),
        "a rollback": (409, request(reader, 0, 100)),
        "a proof of another size": (422, make_request(200, [], sign(300, reader.root_at(300)))),
        "an old size it does not have": (409, request(reader, 100, 300)),
        "an old size beyond the new one": (400, make_request(250, [], sign(200, reader.root_at(200)))),
        "another log": (404, make_request(0, [], sign(1, bytes(32), "other.example/log"))),
        "no request": (400, b"hello"),
    }
    for what, (status, body) in cases.items():
        assert state.add_checkpoint(body).status == status, what
    forged = Note(sign(300, bytes(32)).text, sign(299, bytes(32)).signatures)
    assert state.add_checkpoint(make_request(200, [], forged)).status == 403
    assert state.read_latest(NAME) == before


def test_the_size_it_has_is_told(reader: LogReader, tmp_path: Path) -> None:
    state = make_state(tmp_path)
    state.add_checkpoint(request(reader, 0, 77))
    answer = state.add_checkpoint(request(reader, 0, 100))
    assert (answer.status, answer.kind, answer.body) == (409, "text/x.tlog.size", b"77\n")


def test_the_empty_tree_can_be_signed(tmp_path: Path) -> None:
    state = make_state(tmp_path)
    assert state.add_checkpoint(make_request(0, [], sign(0, EMPTY_ROOT))).status == 200
    assert state.add_checkpoint(make_request(0, [], sign(0, bytes(32)))).status == 422


def test_it_remembers_over_a_restart_and_a_damaged_memory_signs_nothing(reader: LogReader, tmp_path: Path) -> None:
    first = make_state(tmp_path)
    first.add_checkpoint(request(reader, 0, 200))
    with pytest.raises(ConfigError, match="already"):
        make_state(tmp_path)
    first.close()
    second = make_state(tmp_path)
    assert second.add_checkpoint(request(reader, 0, 100)).status == 409
    assert second.add_checkpoint(request(reader, 200, 300)).status == 200
    (tmp_path / NAME).write_bytes(sign(5, reader.root_at(5)).encode())  # signed by the log, not by the witness
    with pytest.raises(ProofError, match="own state"):
        second.add_checkpoint(request(reader, 5, 300))


KILLED = """
import os, sys
from pathlib import Path
from tests.sinks.transparency.witnessing import make_state
count, at = 0, int(sys.argv[2])
def wrap(name):
    real = getattr(os, name)
    def call(*args, **more):
        global count
        count += 1
        if count == at:
            os._exit(9)
        return real(*args, **more)
    setattr(os, name, call)
state = make_state(Path(sys.argv[1]))
for name in ("open", "write", "fsync", "replace"):
    wrap(name)
answer = state.add_checkpoint(sys.stdin.buffer.read())
sys.stdout.write(f"{answer.status} {count}")
"""


def test_killed_at_every_step_it_has_not_answered_what_it_forgets(reader: LogReader, tmp_path: Path) -> None:
    def run(directory: Path, at: int, body: bytes) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(directory), str(at)],
            cwd=ROOT, input=body, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout.decode()

    code, told = run(tmp_path / "whole", 1 << 30, request(reader, 0, 100))
    status, calls = told.split()
    assert (code, status) == (0, "200") and int(calls) >= 4
    for at in range(1, int(calls) + 1):
        directory = tmp_path / str(at)
        first = make_state(directory)
        assert first.add_checkpoint(request(reader, 0, 50)).status == 200
        first.close()
        code, told = run(directory, at, request(reader, 50, 100))
        assert (code, told) == (9, "")
        after = make_state(directory)
        known = read_states(directory)[ORIGIN].size
        assert known in (50, 100)
        assert after.add_checkpoint(request(reader, known, 200)).status == 200
        assert after.add_checkpoint(make_request(known, [], sign(known, bytes(32)))).status == 409
        after.close()


def call(url: str, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    connection.request(method, path, body)
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


def test_over_http(reader: LogReader, tmp_path: Path) -> None:
    with run_witness(tmp_path) as witness:
        assert call(witness.url, "POST", "/add-checkpoint", request(reader, 0, 10))[0] == 200
        status, latest = call(witness.url, "GET", f"/{NAME}/checkpoint")
        assert status == 200 and find_signature(parse_note(latest), witness.key) is not None
        for method, path, body, expected in (
            ("POST", "/elsewhere", b"", 404),
            ("GET", "/../../lock/checkpoint", b"", 404),
            ("GET", "/lock", b"", 404),
            ("POST", "/add-checkpoint", b"x" * 200_000, 413),
            ("POST", "/add-checkpoint", b"", 400),
        ):
            assert call(witness.url, method, path, body)[0] == expected, path


def test_a_client_that_says_nothing_holds_up_nobody(reader: LogReader, tmp_path: Path) -> None:
    with run_witness(tmp_path) as witness:
        parts = urlsplit(witness.url)
        silent = [socket.create_connection((parts.hostname or "", parts.port or 0)) for _ in range(20)]
        assert call(witness.url, "POST", "/add-checkpoint", request(reader, 0, 10))[0] == 200
        for connection in silent:
            connection.close()


@given(st.binary(max_size=200))
def test_hostile_requests_end_in_an_error(data: bytes) -> None:
    for body in (data, b"old 1\n" + data, b"old 1\n\n" + data):
        with pytest.raises(ProofError):
            parse_request(body)


def test_a_state_that_cannot_be_written_is_no_signature(reader: LogReader, tmp_path: Path) -> None:
    with run_witness(tmp_path / "state") as witness:
        (tmp_path / "state" / NAME).mkdir()  # what was signed cannot be written down there
        status, body = call(witness.url, "POST", "/add-checkpoint", request(reader, 0, 10))
        assert status == 500 and b"cannot sign" in body
