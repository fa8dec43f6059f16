"""The key holder as a process against the shared broker, and its trail as the masking processor would open it."""

import base64
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from console.control import Place
from console.tracing import UnixConnection
from deploy.embedded.registration import register
from schemas.config import find_settings
from schemas.events import Event
from schemas.runtime import Home, read_run_state
from tests.processors.pipeline import stop, wait_until
from tests.support.trail import ends, read_trail

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Holder:
    """A running key holder."""

    home: Home
    process: subprocess.Popen[bytes]
    starts: dict[int, int] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        return Place(self.home, find_settings(self.home))

    def post(self, body: bytes, login: str | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """One raw request as the console's program."""
        secret = self.home.read_secret("keyholder/console.password") if login is None else login
        connection = UnixConnection(self.home.run, "keyholder.sock")
        with contextlib.closing(connection):
            connection.request("POST", "/v1/trace", body, {"Authorization": f"Bearer {secret}", **headers})
            response = connection.getresponse()
            return response.status, dict(response.headers), response.read()

    def log_text(self) -> str:
        return (self.home.logs / "keyholder.log").read_text()

    def trail(self) -> list[tuple[Any, Event]]:
        """(context, event) of everything the holder sent since it started, each batch's signature checked."""
        return read_trail(self.home, "keyholder", self.starts)

    def events_of(self, session_id: str) -> list[Event]:
        return [event for context, event in self.trail() if context.session_id == session_id]


def start_holder(home: Home) -> Holder:
    home.logs.mkdir(exist_ok=True)
    with (home.logs / "keyholder.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "processors.keyholder"],
            cwd=ROOT,
            env={**os.environ, "CUSTODY_HOME": str(home.root)},
            stdout=log,
            stderr=log,
        )
    holder = Holder(home, process)

    def is_ready() -> bool:
        assert process.poll() is None, holder.log_text()[-2000:]
        state = read_run_state(home, "keyholder")
        return state is not None and state.pid == process.pid and state.is_ready

    wait_until(is_ready)
    return holder


@contextlib.contextmanager
def run_holder(home: Home) -> Iterator[Holder]:
    """Started and stopped; what it recorded since is its trail."""
    register(find_settings(home), home)
    starts = ends(home)
    holder = start_holder(home)
    holder.starts = starts
    try:
        yield holder
    finally:
        stop(holder.process)


def quote(value: bytes, **more: str) -> bytes:
    """A request's body."""
    return json.dumps({"value_base64": base64.b64encode(value).decode(), **more}).encode()
