"""The REST API as a process of its own, and a small client for it."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.embedded.registration import register
from schemas.config import find_settings
from schemas.events import Event, SessionContext
from schemas.runtime import Home, read_run_state
from tests.support.homes import connect_home
from tests.support.kafka import Kafka
from tests.support.oidc_provider import CLIENT, OidcProvider
from tests.support.store import Store, connect_store, run_store
from tests.support.trail import ends, read_trail

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Api:
    """A running API."""

    home: Home
    process: subprocess.Popen[bytes]
    port: int
    starts: dict[int, int] = field(default_factory=dict)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30, trust_env=False, verify=False))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, role: str = "", token: str = "", **options: Any) -> httpx.Response:
        """One request with a role's local password, or with any token."""
        given = token or (self.home.read_secret(f"api/{role}.password") if role else "")
        headers = {"Authorization": f"Bearer {given}"} if given else {}
        headers |= options.pop("headers", {})
        return self.client.request(method, self.url + path, headers=headers, **options)

    def log_text(self) -> str:
        return (self.home.logs / "api.log").read_text()

    def trail(self) -> list[tuple[SessionContext, Event]]:
        """(context, event) of everything the API recorded since it started."""
        return read_trail(self.home, "api", self.starts)

    def recorded(self, operation: str) -> list[tuple[SessionContext, list[Event]]]:
        """The requests of this operation: context and events of each."""
        found: dict[str, tuple[SessionContext, list[Event]]] = {}
        for context, event in self.trail():
            found.setdefault(context.session_id, (context, []))[1].append(event)
        return [pair for pair in found.values() if any(event.operation == operation for event in pair[1])]


def start_api(home: Home) -> Api:
    """Started, serving."""
    home.logs.mkdir(exist_ok=True)
    starts = ends(home)
    with (home.logs / "api.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "console.api"],
            cwd=ROOT,
            env={**os.environ, "CUSTODY_HOME": str(home.root)},
            stdout=log,
            stderr=log,
        )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        state = read_run_state(home, "api")
        if state is not None and state.pid == process.pid and state.is_ready:
            return Api(home, process, state.ports["http"], starts)
        time.sleep(0.02)
    process.kill()
    process.wait()
    raise AssertionError((home.logs / "api.log").read_text()[-3000:])


@contextlib.contextmanager
def run_api(home: Home) -> Iterator[Api]:
    """Registered, started, and stopped at the end; it must end by itself on SIGTERM."""
    register(find_settings(home), home)
    api = start_api(home)
    try:
        yield api
    finally:
        api.client.close()
        api.process.terminate()
        try:
            code = api.process.wait(30)
        except subprocess.TimeoutExpired:
            api.process.kill()
            api.process.wait()
            raise
    assert code == 0, api.log_text()[-2000:]


def document_of(response: httpx.Response) -> Any:
    """The JSON of an answer that must be a success."""
    assert response.is_success, response.text
    return json.loads(response.content)


def connect_to(home: Home, kafka: Kafka, store: Store, **settings: object) -> None:
    """Settings with which the API runs over these servers."""
    connect_home(home, kafka, store={"url": store.url}, ports={"api": 0}, **settings)
    connect_store(home, store)


def oidc_settings(provider: OidcProvider, **changes: object) -> dict[str, object]:
    """Sign-in at the tests' provider: the group `security` audits, `sre` operates."""
    return {
        "issuer": provider.issuer,
        "client_id": CLIENT,
        "roles": {"auditor": ["security"], "operator": ["sre"]},
        **changes,
    }


WORKLOAD_AUDIENCE = "custody-api"


def identity_settings(provider: OidcProvider) -> dict[str, object]:
    """People and workloads of the tests' provider, and who may act for whom."""
    cluster = {"name": "cluster", "issuer": provider.issuer, "audience": WORKLOAD_AUDIENCE}
    planner = {"issuer": "cluster", "claims": {"sub": "sa:planner"}}
    executor = {"issuer": "cluster", "claims": {"sub": "sa:executor"}}
    return {
        "oidc": oidc_settings(provider),
        "issuers": [cluster],
        "grants": [
            {"agent": "planner", "workload": planner, "groups": ["developers"], "resources": ["demo-*"]},
            {"agent": "executor", "workload": executor, "after": ["planner"], "on_its_own": True, "resources": ["*"]},
            {"agent": "notebook", "principals": ["*@example.com"], "resources": ["demo-postgres"]},
        ],
    }


@pytest.fixture(scope="session")
def api(
    secrets_home: Home, kafka: Kafka, shared_provider: OidcProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """One API over a filled store and the shared broker. Names of what a test writes are its own."""
    from tests.console.conftest import Record, fill

    root = tmp_path_factory.mktemp("api") / "home"
    shutil.copytree(secrets_home.root, root)
    with run_store(tmp_path_factory.mktemp("api-store")) as store:
        fill(Record(store, store.home))
        connect_to(Home(root), kafka, store, identity=identity_settings(shared_provider))
        with run_api(Home(root)) as running:
            yield running
