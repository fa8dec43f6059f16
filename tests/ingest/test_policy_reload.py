"""Policies in control are in force within a second, on every proxy, under load, and no session is dropped."""

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from schemas.events import ControlKind
from schemas.runtime import Home
from tests.ingest.test_postgres import register, url
from tests.support.postgres import Postgres
from tests.support.proxies import Login, Proxy, issue_credential, read_trails, run_proxy, wait_for_trails

FORBIDS = """
@id("everything") permit (principal, action, resource);
@id("no-reads-of-secrets") forbid (principal, action, resource) when { context.objects.contains("pg_roles") };
"""


@pytest.fixture
def proxy(home: Home) -> Iterator[Proxy]:
    with run_proxy(home) as running:
        try:
            yield running
        finally:
            running.writer.put(ControlKind.POLICY, "reload", None)  # control is shared with other tests


class Agent(threading.Thread):
    """Runs statements on one connection until told to stop; notes when each was refused or served."""

    def __init__(self, port: int, login: Login) -> None:
        super().__init__(daemon=True)
        self.connection = psycopg.connect(url(port, login), autocommit=True)
        self.outcomes: list[tuple[float, bool]] = []
        self.failure: BaseException | None = None
        self.stopped = threading.Event()

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
                self.outcomes.append((time.monotonic(), self.is_served("SELECT rolname FROM pg_roles")))
                assert self.is_served("SELECT 1")
        except BaseException as error:
            self.failure = error

    def is_served(self, statement: str) -> bool:
        try:
            self.connection.execute(statement)  # type: ignore[arg-type]
        except psycopg.errors.InsufficientPrivilege:
            return False
        return True

    def refused_first(self, after: float) -> float | None:
        """How long after a moment a statement was refused first."""
        return next((at - after for at, is_served in self.outcomes if at >= after and not is_served), None)


def test_policies_change_under_load_without_a_session_dropped(proxy: Proxy, postgres_server: Postgres) -> None:
    port = register(proxy, postgres_server, "reload")
    login = issue_credential(proxy.home, proxy.writer, "reload-agent")
    agents = [Agent(port, login) for _ in range(4)]
    for agent in agents:
        agent.start()
    proxy.wait_for(lambda: all(len(agent.outcomes) > 5 for agent in agents))
    proxy.writer.put(ControlKind.POLICY, "reload", {"cedar": FORBIDS})
    applied = time.monotonic()
    proxy.wait_for(lambda: all(agent.refused_first(applied) is not None for agent in agents))
    waits = [wait for agent in agents if (wait := agent.refused_first(applied)) is not None]
    proxy.writer.put(ControlKind.POLICY, "reload", {"cedar": "not cedar"})
    time.sleep(0.5)
    assert not any(agent.outcomes[-1][1] for agent in agents)  # a policy that does not load changes nothing
    proxy.writer.put(ControlKind.POLICY, "reload", None)
    proxy.wait_for(lambda: all(agent.outcomes[-1][1] for agent in agents))
    for agent in agents:
        agent.stopped.set()
        agent.join(20)
        assert agent.failure is None
        agent.connection.close()
    assert max(waits) < 1.0
    trails = wait_for_trails(proxy.home, "reload", 4)
    assert len(trails) == 4
    check_the_trail(proxy, [event for trail in trails for event in trail.of("action.requested")])


MASKS = """
@id("everything") permit (principal, action, resource);
@id("named") @mask("columns=rolname") permit (principal, action, resource)
when { context.objects.contains("pg_roles") };
"""


def test_the_first_policy_that_masks_holds_for_an_open_session(proxy: Proxy, postgres_server: Postgres) -> None:
    """Until the detectors are compiled, what has to be masked is refused; it is never shown."""
    port = register(proxy, postgres_server, "reload-masks")
    login = issue_credential(proxy.home, proxy.writer, "reload-agent")
    seen: list[str] = []

    def read_roles() -> str:
        try:
            (name,) = connection.execute("SELECT rolname FROM pg_roles LIMIT 1").fetchone()  # type: ignore[misc]
        except psycopg.errors.InsufficientPrivilege as refusal:
            assert "try again in some seconds" in str(refusal)
            name = "refused"
        seen.append(name)
        return name

    with psycopg.connect(url(port, login), autocommit=True) as connection:
        assert not read_roles().startswith("‹")
        proxy.writer.put(ControlKind.POLICY, "reload", {"cedar": MASKS})
        proxy.wait_for(lambda: read_roles().startswith("‹column:"), 120)
    changed = next(number for number, name in enumerate(seen) if name != seen[0])
    assert set(seen[:changed]) == {seen[0]} and seen[0] not in seen[changed:]


def check_the_trail(proxy: Proxy, requests: list[object]) -> None:
    """Every decision names policies and version; the changes are events of their own."""
    versions = {event.attributes["policy.version"] for event in requests}  # type: ignore[attr-defined]
    assert len(versions) == 2
    refused = [event for event in requests if event.verdict == "deny"]  # type: ignore[attr-defined]
    assert {event.attributes["policy.ids"] for event in refused} == {"no-reads-of-secrets"}  # type: ignore[attr-defined]
    changes = [event for trail in read_trails(proxy.home, "custody") for event in trail.of("policy.changed")]
    assert versions <= {event.attributes["policy.version"] for event in changes}
