"""`custody witness` as a process of its own: it prints its key, signs, remembers, and keeps to loopback."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from deploy.embedded.process import is_listening
from sinks.transparency.cosigning import Cosigners
from sinks.transparency.merkle import EMPTY_ROOT
from sinks.transparency.note import Checkpoint, Note, parse_vkey, sign_checkpoint
from sinks.transparency.quorum import Witness
from tests.console.conftest import Run
from tests.sinks.transparency.logs import ORIGIN, SIGNER, VERIFIER
from tests.support.ports import get_free_port

NAME = "witness.example.test/own"


def options(state: Path) -> list[str]:
    return ["witness", "--state", str(state), "--name", NAME, "--log", VERIFIER.vkey]


def test_it_signs_under_the_key_that_it_prints(tmp_path: Path, custody: Run) -> None:
    port = get_free_port()
    printed = custody(*options(tmp_path / "w"), "--print-key")
    assert printed.code == 0
    key = parse_vkey(printed.out)
    command = [sys.executable, "-m", "console.cli", *options(tmp_path / "w"), "--listen", f"127.0.0.1:{port}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not is_listening(port):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        checkpoint = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
        note = Note(checkpoint.text, (sign_checkpoint(checkpoint, SIGNER),))
        cosigners = Cosigners([Witness("own", key, f"http://127.0.0.1:{port}")])
        assert list(cosigners.ask(note, 0, lambda old: [])) == ["own"], cosigners.problems
        second = custody(*options(tmp_path / "w"), "--print-key")
        assert second.code == 2 and "already" in second.err
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    (tmp_path / "w" / "key").unlink()
    lost = custody(*options(tmp_path / "w"), "--print-key")
    assert lost.code == 2 and "restore it" in lost.err


def test_bad_options_are_refused(tmp_path: Path, custody: Run) -> None:
    for listen in ("0.0.0.0:80", "example.test:80", "127.0.0.1", "127.0.0.1:x"):
        answer = custody(*options(tmp_path / "w"), "--listen", listen)
        assert answer.code == 2 and "loopback" in answer.err
    answer = custody("witness", "--state", str(tmp_path / "w"), "--name", NAME, "--log", "no key")
    assert answer.code == 2 and "verifier key" in answer.err
