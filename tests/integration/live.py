"""The whole embedded stack in a home of a test's own, with an rsyslog as its SIEM; what agents and checks need."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import psutil
from confluent_kafka import Consumer

from console import control, credentials
from console.store import Store, open_store
from deploy.embedded import stack
from deploy.embedded.process import LOOPBACK
from deploy.embedded.secrets import ADMIN, DEMO_POSTGRES_LOGIN
from schemas import topics
from schemas.config import find_settings
from schemas.events import ControlKind
from schemas.resources import Resource
from schemas.runtime import ENV_HOME, Home, read_run_state
from schemas.wire import kafka
from tests.sinks.siem.receiver import Receiver
from tests.support.ports import get_free_port
from tests.support.stack import find_processes, make_stack_home

ROOT: Final = Path(__file__).parents[2]
SERVERS: Final = ("kafka", "store", "demo-postgres", "demo-http")
# A killed broker takes 10 s to serve again; a part that was killed often waits up to 10 s before its next start.
READY_TIMEOUT_S: Final = 120.0
QUIET_TIMEOUT_S: Final = 150.0
POLL_S: Final = 0.3


@dataclass(frozen=True)
class Live:
    """A running stack."""

    place: control.Place
    receiver: Receiver

    @property
    def home(self) -> Home:
        return self.place.home

    @property
    def ports(self) -> Any:
        return self.place.settings.ports

    def issue(self, agent: str, run_id: str = "") -> credentials.Issued:
        """A credential for every resource, in control."""
        issued = credentials.issue(
            self.home,
            principal="dana@example.test",
            agent=agent,
            resources=["*"],
            ttl=timedelta(hours=1),
            run_id=run_id,
        )
        entry = issued.credential.model_dump(mode="json")
        control.put_entry(self.place, ControlKind.CREDENTIAL, issued.credential.id, entry)
        return issued

    def postgres_url(self, issued: credentials.Issued, port: int = 0) -> str:
        login = f"{issued.credential.id}:{issued.secret}"
        return f"postgresql://{login}@{LOOPBACK}:{port or self.ports.demo_postgres_proxy}/postgres?sslmode=disable"

    def upstream_postgres_url(self) -> str:
        """The demo's PostgreSQL itself, past the proxy."""
        password = self.home.read_secret(DEMO_POSTGRES_LOGIN)
        return f"postgresql://postgres:{password}@{LOOPBACK}:{self.ports.demo_postgres}/postgres?sslmode=disable"

    def register(self, name: str, protocol: str, upstream_port: int, **settings: Any) -> int:
        """A resource more; the port on which a proxy serves it now."""
        listen = get_free_port()
        resource = Resource.model_validate(
            {
                "name": name,
                "protocol": protocol,
                "listen": listen,
                "upstream": {"host": LOOPBACK, "port": upstream_port, **settings.pop("upstream", {})},
                **settings,
            }
        )
        control.put_entry(self.place, ControlKind.RESOURCE, name, resource.model_dump(mode="json"))
        proxy = "proxy-http" if protocol == "http" else "proxy-tcp"
        wait_until(lambda: listen in self.ports_of(proxy).values(), 30, f"{proxy} does not serve {name}")
        return listen

    def ports_of(self, part: str) -> dict[str, int]:
        state = read_run_state(self.home, part)
        return state.ports if state else {}

    def kill(self, part: str) -> bool:
        """kill -9, if the part runs right now."""
        state = read_run_state(self.home, part)
        if state is None or not state.is_alive():
            return False
        try:
            process = psutil.Process(state.pid)
            assert process.environ().get(ENV_HOME) == str(self.home.root)
            process.kill()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False
        return True

    def is_serving(self, part: str) -> bool:
        state = read_run_state(self.home, part)
        return state is not None and state.is_ready and state.is_alive()

    def wait_quiet(self, timeout_s: float = QUIET_TIMEOUT_S) -> None:
        """Return when every part serves and no stage is behind, twice at the same ends of the raw topic."""
        deadline = time.monotonic() + timeout_s
        before: dict[int, int] | None = None
        while True:
            ends, parts = self.raw_ends(), stack.status(self.home)
            is_still = all(part.is_ready and not part.lag for part in parts) and has_all_lags(parts)
            if is_still and ends == before:
                return
            before = ends if is_still else None
            if time.monotonic() > deadline:
                raise AssertionError(f"not quiet within {timeout_s:.0f} s: {describe(parts)}\n{self.read_logs(parts)}")
            time.sleep(POLL_S)

    def read_logs(self, parts: list[stack.PartStatus]) -> str:
        """The last lines of whatever is behind or not there, and of what starts it."""
        names = ["supervisor", "kafka", *(part.name for part in parts if not part.is_ready or part.lag)]
        logs = {name: self.home.logs / f"{name}.log" for name in names}
        tails = {
            name: path.read_text(errors="replace").splitlines()[-40:] for name, path in logs.items() if path.exists()
        }
        return "\n".join(f"== {name}\n" + "\n".join(line[:300] for line in lines) for name, lines in tails.items())

    def raw_ends(self) -> dict[int, int]:
        """The next offset of each raw partition; empty while the broker is away."""
        if not self.is_serving("kafka"):
            return {}
        consumer = Consumer(kafka.reader_config(self.place.settings, self.home, ADMIN))
        try:
            numbers = range(kafka.partition_count(consumer, topics.RAW))
            return {number: kafka.watermarks(consumer, topics.RAW, number)[1] for number in numbers}
        finally:
            consumer.close()

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The record, as the reader."""
        with open_store(self.place) as store:
            yield store

    def custody(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """`custody ARGUMENT…` as a person runs it."""
        environment = os.environ | {ENV_HOME: str(self.home.root), "PYTHONPATH": str(ROOT)}
        environment.pop("CUSTODY_CONFIG", None)
        argv = [sys.executable, "-m", "console.cli", *arguments]
        return subprocess.run(
            argv, env=environment, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )


def has_all_lags(parts: list[stack.PartStatus]) -> bool:
    """Whether the lag of every stage is known: it is not, when a server was away for a moment."""
    return all(part.lag is not None for part in parts if part.name.startswith(("worker-", "sink-")))


def describe(parts: list[stack.PartStatus]) -> str:
    return "; ".join(f"{part.name} {part.health} lag {part.lag} {part.detail}" for part in parts)


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} after {timeout_s:.0f} s"
        time.sleep(0.05)


@contextmanager
def run_live(directory: Path) -> Iterator[Live]:
    """All parts, stopped at the end, whatever happened; asserts that no process is left."""
    receiver = Receiver(directory)
    receiver.start()
    try:
        home = make_stack_home(directory, siem={"syslog": receiver.config().model_dump(mode="json")})
        try:
            stack.up(home, say=lambda line: None)
            yield Live(control.Place(home, find_settings(home)), receiver)
        finally:
            stack.down(home)
            assert find_processes(home) == {}
    finally:
        receiver.stop()
