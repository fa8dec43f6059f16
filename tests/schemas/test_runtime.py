"""Run states and private files."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from schemas.runtime import Home, RunState, announce_ready, read_run_state, write_private, write_run_state


def test_a_run_state_is_read_as_written(tmp_path: Path) -> None:
    home = Home(tmp_path)
    announce_ready(home, "proxy-tcp", {"db": 15432}, epoch="ab")
    state = read_run_state(home, "proxy-tcp")
    assert state is not None and state.is_ready and state.is_alive()
    assert (state.pid, state.ports, state.detail) == (os.getpid(), {"db": 15432}, {"epoch": "ab"})


def test_a_broken_or_missing_run_state_is_none(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert read_run_state(home, "absent") is None
    write_private(home.run / "broken.json", b"{")
    assert read_run_state(home, "broken") is None


def test_an_ended_process_is_not_alive(tmp_path: Path) -> None:
    home = Home(tmp_path)
    process = subprocess.Popen(["true"])
    process.wait()
    write_run_state(home, RunState("gone", process.pid))
    state = read_run_state(home, "gone")
    assert state is not None and not state.is_alive()


def test_private_files_are_private(tmp_path: Path) -> None:
    write_private(tmp_path / "deep" / "secret", b"x")
    assert (tmp_path / "deep" / "secret").stat().st_mode & 0o777 == 0o600


def test_a_crash_writes_no_memory_to_disk(tmp_path: Path) -> None:
    """Also when the process was started with no limit, and for the processes it starts."""
    code = (
        "import os, subprocess, sys; from schemas.runtime import forbid_core_dumps; forbid_core_dumps();"
        "print(subprocess.run(['sh', '-c', 'ulimit -c; ulimit -Hc'], capture_output=True, text=True).stdout);"
        "sys.stdout.flush(); os.abort()"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        ["sh", "-c", 'ulimit -c unlimited 2>/dev/null; exec "$@"', "sh", sys.executable, "-c", code],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGABRT, done.stderr
    assert set(done.stdout.split()) <= {"0", "1"}  # dash shows blocks of 512 bytes
    assert list(tmp_path.iterdir()) == []
