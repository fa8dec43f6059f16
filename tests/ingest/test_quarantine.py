"""Who is quarantined is out within a second, on every proxy, and stays out until that is lifted."""

import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from ingest.quarantine import Quarantines
from schemas.events import ControlKind, Hop, SessionContext
from schemas.runtime import Home
from tests.ingest.test_opaque import echo_server
from tests.ingest.test_postgres import register, url
from tests.support.approvals import HOLDS, policy_in_force, wait_for_held
from tests.support.postgres import Postgres
from tests.support.proxies import Proxy, issue_credential, read_trails, run_proxy, wait_for_trails

CHAIN = [Hop("orchestrator", "ann"), Hop("planner", "orchestrator")]
CONTEXT = SessionContext("s1", "ann", "planner", CHAIN)


def quarantines(*keys: str, entry: Any = None) -> Quarantines:
    held = {key: entry or {"reason": "why"} for key in keys}
    view: Any = SimpleNamespace(get=lambda kind, id: held.get(id) if kind is ControlKind.QUARANTINE else None)
    return Quarantines(view)


@pytest.mark.parametrize("key", ["session:s1", "principal:ann", "agent:planner", "agent:orchestrator"])
def test_everybody_of_a_chain_can_be_stopped(key: str) -> None:
    assert quarantines(key).reason_of(CONTEXT) == f"{key.replace(':', ' ')} is quarantined: why"


def test_others_are_not_stopped() -> None:
    assert (
        quarantines("session:s2", "principal:bob", "agent:planner/2", "agent:", "session:").reason_of(CONTEXT) is None
    )


def test_an_entry_counts_whatever_stands_in_it() -> None:
    assert quarantines("agent:planner", entry=["?"]).reason_of(CONTEXT) == (
        "agent planner is quarantined: no reason given"
    )


@pytest.fixture
def proxy(home: Home) -> Iterator[Proxy]:
    with run_proxy(home) as running:
        try:
            yield running
        finally:
            for key in ("agent:planner/1.0", "principal:job"):
                running.writer.put(ControlKind.QUARANTINE, key, None)  # control is shared with other tests


def stop(proxy: Proxy, kind: str, name: str) -> float:
    """Write a quarantine; when."""
    entry = {"kind": kind, "name": name, "reason": "it ran wild", "by": "bob", "at": 1}
    proxy.writer.put(ControlKind.QUARANTINE, f"{kind}:{name}", entry)
    return time.monotonic()


def test_live_sessions_end_within_a_second_and_new_ones_are_refused(proxy: Proxy, postgres_server: Postgres) -> None:
    """One is idle, one in the middle of a statement, one waits for an approval, one speaks no known protocol."""
    port = register(proxy, postgres_server, "stopped")
    login = issue_credential(proxy.home, proxy.writer, "stopped-agent")
    ended: dict[str, tuple[float, str]] = {}

    def run(name: str, statement: str) -> None:
        try:
            with psycopg.connect(url(port, login), autocommit=True) as connection:
                connection.execute("SELECT 1")
                connection.execute(statement)  # type: ignore[arg-type]
                while connection.execute("SELECT 1"):
                    time.sleep(0.05)
        except psycopg.Error as error:
            ended[name] = time.monotonic(), str(error)

    with policy_in_force(proxy, HOLDS):
        statements = {"idle": "SELECT 1", "busy": "SELECT pg_sleep(60)", "held": "DELETE FROM t"}
        threads = [threading.Thread(target=run, args=item) for item in statements.items()]
        for thread in threads:
            thread.start()
        wait_for_held(proxy, "stopped")
        proxy.wait_for(lambda: count_statements(postgres_server) == 1)
        at = stop(proxy, "agent", "planner/1.0")
        for thread in threads:
            thread.join(30)
    assert set(ended) == set(statements)
    assert max(moment - at for moment, _ in ended.values()) < 1.0, ended
    # Also whose statement crosses the last words reads them.
    assert all("agent planner/1.0 is quarantined: it ran wild" in told for _, told in ended.values()), ended
    proxy.wait_for(lambda: count_statements(postgres_server) == 0)  # what ran is canceled
    with pytest.raises(psycopg.OperationalError, match=r"agent planner/1\.0 is quarantined: it ran wild"):
        psycopg.connect(url(port, login))
    proxy.writer.put(ControlKind.QUARANTINE, "agent:planner/1.0", None)
    proxy.wait_for(lambda: is_open(port, login))
    trails = wait_for_trails(proxy.home, "stopped", 5)
    stopped = [trail for trail in trails if trail.events[-1].status == "quarantined"]
    refused = next(trail for trail in stopped if len(trail.events) == 2)  # others, while the lifting was on its way
    assert len([trail for trail in stopped if len(trail.events) > 2]) == len(statements)
    assert refused.context.agent == "planner/1.0" and "ran wild" in refused.events[-1].attributes["error"]
    changes = [event for trail in read_trails(proxy.home, "custody") for event in trail.of("quarantine.changed")]
    facts = [event.attributes for event in changes if event.attributes["quarantine.name"] == "planner/1.0"]
    assert [each["quarantine.state"] for each in facts][-2:] == ["placed", "lifted"]
    assert (facts[-2]["quarantine.reason"], facts[-2]["quarantine.by"]) == ("it ran wild", "bob")


def test_a_tunnel_is_cut(proxy: Proxy) -> None:
    with echo_server() as port:
        resource = proxy.register("cut", "tcp", {"host": "127.0.0.1", "port": port}, principal="job")
        with socket.create_connection(("127.0.0.1", resource.listen), timeout=30) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            at = stop(proxy, "principal", "job")
            assert client.recv(1) == b""
            assert time.monotonic() - at < 1.0
        with socket.create_connection(("127.0.0.1", resource.listen), timeout=30) as client:
            assert client.recv(1) == b""
    trails = wait_for_trails(proxy.home, "cut", 2)
    assert [trail.events[-1].status for trail in trails] == ["quarantined", "quarantined"]


SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'"


def count_statements(server: Postgres) -> int:
    with server.connect() as connection:
        row = connection.execute(SLEEPING).fetchone()
    assert row is not None
    return int(row[0])


def is_open(port: int, login: Any) -> bool:
    try:
        psycopg.connect(url(port, login)).close()
    except psycopg.OperationalError:
        return False
    return True
