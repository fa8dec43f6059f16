"""Sinks as processes: started, killed, stopped by process id."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schemas.runtime import Home, read_run_state
from tests.support.homes import write_settings
from tests.support.kafka import Kafka
from tests.support.store import Store, connect_store

ROOT = Path(__file__).parents[2]


def connect_sink(
    home: Home, kafka: Kafka, running: Store, *, store: Mapping[str, int] | None = None, **others: object
) -> None:
    """Settings and logins with which a sink reaches both servers. `home` has Kafka's passwords already."""
    connect_store(home, running)
    write_settings(home, kafka={"bootstrap": kafka.bootstrap}, store={"url": running.url, **(store or {})}, **others)


class SinkProcess:
    """`python -m sinks.runner NAME`."""

    def __init__(self, home: Home, name: str, component: str) -> None:
        self._home, self._name, self._component = home, name, component
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        path = self._home.root / f"{self._component}.log"
        return path.read_text() if path.exists() else ""

    def start(self) -> None:
        environment = {**os.environ, "CUSTODY_HOME": str(self._home.root)}
        with (self._home.root / f"{self._component}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sinks.runner", self._name], cwd=ROOT, env=environment, stdout=log, stderr=log
            )

    def detail(self) -> dict[str, Any]:
        """What the running process says of itself; empty before it said anything."""
        state = read_run_state(self._home, self._component)
        return state.detail if state and self.process and state.pid == self.process.pid else {}

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(how)
        code = self.process.wait(30)
        self.process = None
        return code

    def wait(self, condition: Callable[[], Any], timeout_s: float = 150) -> Any:
        """The condition's value once it is true; the log, should it not become so."""
        deadline = time.monotonic() + timeout_s
        while not (value := condition()):
            assert time.monotonic() < deadline, f"{self.detail()}\n{self.log[-4000:]}"
            time.sleep(0.05)
        return value


@contextmanager
def run_sink(home: Home, name: str, component: str) -> Iterator[SinkProcess]:
    sink = SinkProcess(home, name, component)
    sink.start()
    try:
        yield sink
    finally:
        if sink.process is not None:
            sink.process.kill()
            sink.process.wait(30)
