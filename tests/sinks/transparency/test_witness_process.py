"""The embedded witness as a process, asked by a log of the same home."""

import os
import signal
import subprocess
import sys

from schemas.config import find_settings
from schemas.runtime import Home
from sinks.transparency.cosigning import Cosigners
from sinks.transparency.merkle import EMPTY_ROOT
from sinks.transparency.note import Checkpoint, Note, sign_checkpoint
from sinks.transparency.place import find_log
from sinks.transparency.signing import make_signer
from tests.sinks.transparency.witnessing_home import ROOT, run_home_witness
from tests.support.homes import write_settings
from tests.support.ports import get_free_port


def test_it_signs_for_its_home_and_stops_in_order(bare_home: Home) -> None:
    write_settings(bare_home, ports={"witness": get_free_port()})
    with run_home_witness(bare_home) as process:
        settings = find_settings(bare_home)
        place = find_log(settings, bare_home)
        checkpoint = Checkpoint(place.origin, 0, EMPTY_ROOT)
        note = Note(checkpoint.text, (sign_checkpoint(checkpoint, make_signer(settings, bare_home)),))
        cosigners = Cosigners(list(place.policy.witnesses.values()))
        assert list(cosigners.ask(note, 0, lambda old: [])) == ["witness"], cosigners.problems
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_without_its_key_it_says_so(bare_home: Home) -> None:
    (bare_home.secrets / "witness.key").unlink()
    environment = {**os.environ, "CUSTODY_HOME": str(bare_home.root)}
    command = [sys.executable, "-m", "sinks.transparency.witness_process"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "witness.key" in done.stderr
