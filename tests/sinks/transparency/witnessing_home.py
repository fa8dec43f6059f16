"""The embedded stack's witness of a home, as a process."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.runtime import Home, read_run_state

ROOT = Path(__file__).parents[3]


@contextmanager
def run_home_witness(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "CUSTODY_HOME": str(home.root)}
    command = [sys.executable, "-m", "sinks.transparency.witness_process"]
    with (home.root / "witness.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while (state := read_run_state(home, "witness")) is None or state.pid != process.pid:
            assert process.poll() is None and time.monotonic() < deadline, (home.root / "witness.log").read_text()
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()
