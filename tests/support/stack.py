"""An embedded stack of a test's own: a home with free ports, and a look at the processes that belong to it."""

import contextlib
from pathlib import Path

import psutil

from schemas.config import Ports
from schemas.runtime import ENV_HOME, Home
from tests.support.homes import write_settings
from tests.support.ports import get_free_port


def make_stack_home(directory: Path, **settings: object) -> Home:
    """A home without secrets (`up` makes them) whose every port is free now."""
    home = Home(directory / "home")
    home.root.mkdir(parents=True, mode=0o700)
    write_settings(home, ports={name: get_free_port() for name in Ports.model_fields}, **settings)
    return home


def find_processes(home: Home) -> dict[int, str]:
    """pid -> command of every live process that was started for this home, the test itself apart."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_ours = process.environ().get(ENV_HOME) == str(home.root)
            if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = " ".join(process.cmdline())[:200]
    return found
