"""Run states and private files."""

import os
import subprocess
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
