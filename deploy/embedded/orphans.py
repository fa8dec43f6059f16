"""Processes a killed supervisor may have left: known by their run file and their own environment."""

import contextlib
import os
from typing import Final

import psutil

from deploy.embedded.parts import ENV_PART
from schemas.runtime import ENV_HOME, Home, read_run_state

STOP_TIMEOUT_S: Final = 15.0


def find_orphans(home: Home) -> list[psutil.Process]:
    """Live processes, not this one, that the home's run files name and whose environment agrees."""
    states = (read_run_state(home, path.stem) for path in sorted(home.run.glob("*.json")))
    found = []
    for state in states:
        with contextlib.suppress(psutil.Error):
            if state is None or state.pid == os.getpid():
                continue
            if is_part_of(home, process := psutil.Process(state.pid), state.name):
                found.append(process)
    return found


def is_part_of(home: Home, process: psutil.Process, name: str) -> bool:
    """Whether `process` was started as part `name` of this home."""
    if process.status() == psutil.STATUS_ZOMBIE:
        return False
    env = process.environ()
    return env.get(ENV_PART) == name and env.get(ENV_HOME) == str(home.root)


def stop_orphans(home: Home) -> None:
    """SIGTERM to all, SIGKILL to those that stay."""
    orphans = find_orphans(home)
    for process in orphans:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(orphans, timeout=STOP_TIMEOUT_S)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=STOP_TIMEOUT_S)
