"""Asking witnesses: those that answer, those that do not, and those that lie."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from sinks.transparency import cosigning
from sinks.transparency.cosigning import Cosigners
from sinks.transparency.log import LogReader
from sinks.transparency.note import Checkpoint, Note, check_signature, sign_checkpoint
from sinks.transparency.quorum import Witness
from sinks.transparency.storage import DirectoryStorage
from tests.sinks.transparency.logs import ORIGIN, SIGNER, write_log
from tests.sinks.transparency.witnessing import make_state, run_witness


@pytest.fixture
def reader(tmp_path: Path) -> LogReader:
    write_log(tmp_path, 300)
    return LogReader(DirectoryStorage(tmp_path / "log"), 300)


def note_of(reader: LogReader, size: int) -> Note:
    checkpoint = Checkpoint(ORIGIN, size, reader.root_at(size))
    return Note(checkpoint.text, (sign_checkpoint(checkpoint, SIGNER),))


def ask(cosigners: Cosigners, reader: LogReader, size: int) -> list[str]:
    note = note_of(reader, size)
    found = cosigners.ask(note, size, lambda old: reader.prove_consistency(old, size))
    return sorted(found)


def ask_and_note(reader: LogReader, size: int, witness: Witness) -> Note:
    """A checkpoint with the log's signature and the witness's."""
    note = note_of(reader, size)
    found = Cosigners([witness]).ask(note, size, lambda old: reader.prove_consistency(old, size))
    return Note(note.text, (*note.signatures, *found.values()))


def test_every_witness_is_asked_and_caught_up_with(reader: LogReader, tmp_path: Path) -> None:
    with run_witness(tmp_path / "w0", 0) as one, run_witness(tmp_path / "w1", 1) as two:
        assert ask(Cosigners([one]), reader, 100) == ["w0"]
        fresh = Cosigners([one, two])  # as after a restart: it does not know what each has signed
        note = note_of(reader, 200)
        found = fresh.ask(note, 200, lambda old: reader.prove_consistency(old, 200))
        for name, witness in (("w0", one), ("w1", two)):
            check_signature(note.text, found[name], witness.key)
        assert ask(fresh, reader, 300) == ["w0", "w1"] and fresh.problems == {}


def test_one_that_is_away_is_told_and_asked_again(
    reader: LogReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosigning, "FIRST_BACKOFF_S", 0.0)
    with run_witness(tmp_path / "w0") as witness:
        port = int(witness.url.rpartition(":")[2])
    cosigners = Cosigners([witness])
    assert ask(cosigners, reader, 100) == [] and "w0" in cosigners.problems
    with run_witness(tmp_path / "w0", port=port) as witness:
        assert ask(cosigners, reader, 100) == ["w0"] and cosigners.problems == {}


def test_a_failing_one_is_not_asked_at_every_turn(reader: LogReader) -> None:
    asked: list[int] = []

    class Counting(Cosigners):
        def _post(self, witness: Witness, body: bytes) -> tuple[int, str, bytes]:
            asked.append(1)
            raise OSError("away")

    cosigners = Counting([Witness("w0", make_key(), "http://127.0.0.1:9")])
    for _ in range(5):
        assert ask(cosigners, reader, 100) == []
    assert len(asked) == 1


def make_key():  # type: ignore[no-untyped-def]
    from sinks.transparency.note import COSIGNATURE, Verifier

    return Verifier("w0.example.test", COSIGNATURE, SIGNER.public_key)


def test_one_that_has_signed_more_is_an_alarm_not_a_loop(reader: LogReader, tmp_path: Path) -> None:
    with run_witness(tmp_path / "w0") as witness:
        assert ask(Cosigners([witness]), reader, 200) == ["w0"]
        cosigners = Cosigners([witness])
        assert ask(cosigners, reader, 100) == []
        assert "signed size 200 already" in cosigners.problems["w0"]


@contextmanager
def answering(status: int, body: bytes, kind: str = "text/plain") -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"", "text/plain"),
        (200, "— w0.example.test AAAAAAAA\n".encode(), "text/plain"),
        (200, b"\xff" * 100_000, "text/plain"),
        (409, b"not a number\n", "text/x.tlog.size"),
        (409, b"99999999999999999999999\n", "text/x.tlog.size"),
        (409, b"7\n", "text/x.tlog.size"),
        (500, b"no", "text/plain"),
    ],
)
def test_one_that_lies_gives_no_signature(reader: LogReader, status: int, body: bytes, kind: str) -> None:
    with answering(status, body, kind) as url:
        cosigners = Cosigners([Witness("w0", make_key(), url)])
        assert ask(cosigners, reader, 100) == [] and "w0" in cosigners.problems


def test_a_signature_over_something_else_does_not_count(reader: LogReader, tmp_path: Path) -> None:
    state = make_state(tmp_path / "w0")
    from sinks.transparency.note import cosign_checkpoint

    line = cosign_checkpoint(note_of(reader, 99).text, state.verifier.name, state._signer, 1).line
    with answering(200, line.encode()) as url:
        cosigners = Cosigners([Witness("w0", state.verifier, url)])
        assert ask(cosigners, reader, 100) == [] and "bad" in cosigners.problems["w0"]
    state.close()
