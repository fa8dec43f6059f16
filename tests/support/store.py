"""One real store for the whole test run: the front as a process of its own, with the schema applied."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from deploy.embedded.secrets import STORE_ROLES, create_secrets
from schemas.runtime import Home, read_run_state, write_private
from sinks.clickhouse.migrate import migrate

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 60.0


@dataclass
class Store:
    """A running store. `client(role)` logs in as writer, reader, retention or schema."""

    home: Home
    process: subprocess.Popen[bytes]
    port: int
    clients: list[Client] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def password(self, role: str) -> str:
        return self.home.read_secret(f"store/{role}.password")

    def client(self, role: str, **options: Any) -> Client:
        """A clickhouse-connect client with connections of its own, closed with the store."""
        client = clickhouse_connect.get_client(
            host="127.0.0.1",
            port=self.port,
            username=role,
            password=self.password(role),
            database="custody",
            autogenerate_session_id=False,
            dedicated_pool=True,
            **options,
        )
        self.clients.append(client)
        return client

    def log_text(self) -> str:
        return (self.home.logs / "store.log").read_text()

    def kill(self) -> None:
        """kill -9, and wait."""
        self.process.kill()
        self.process.wait(30)

    def close(self) -> None:
        for client in self.clients:
            client.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()


def start_store(directory: Path, port: int = 0) -> Store:
    """A store over directory/home, new or not, without schema. `port` 0 picks a free one."""
    home = Home(directory / "home")
    create_secrets(home)
    (home.root / "custody.yaml").write_text(f"ports: {{store: {port}}}\n")
    environment = {**os.environ, "CUSTODY_HOME": str(home.root)}
    environment.pop("CUSTODY_CONFIG", None)
    with (home.logs / "store.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.embedded.store"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        state = read_run_state(home, "store")
        if state is not None and state.is_ready and state.pid == process.pid:
            return Store(home, process, state.ports["http"])
        time.sleep(0.02)
    process.kill()
    process.wait()
    raise AssertionError(f"the store did not start: {(home.logs / 'store.log').read_text()[-2000:]}")


@contextmanager
def run_store(directory: Path) -> Iterator[Store]:
    """A store with its schema, stopped at the end."""
    store = start_store(directory)
    try:
        migrate(store.client("schema"))
        yield store
    finally:
        store.close()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The session's store. Tables are shared: use log ids and session ids of your own."""
    with run_store(tmp_path_factory.mktemp("store")) as running:
        yield running


def connect_store(home: Home, store: Store) -> None:
    """Give a home the store's logins; its settings still need `store: {url: store.url}`."""
    for role in STORE_ROLES:
        write_private(home.secrets / f"store/{role}.password", store.password(role).encode())
