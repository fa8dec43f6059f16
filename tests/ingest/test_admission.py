"""Policy on connections through a real proxy: who may not connect reads why, and is on record; who is in stays."""

import socket
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from schemas.runtime import Home
from tests.ingest.test_opaque import echo_server
from tests.ingest.test_postgres import register, url
from tests.support.approvals import policy_in_force
from tests.support.postgres import Postgres
from tests.support.proxies import Proxy, issue_credential, run_proxy, wait_for_trails

RULES = """
@id("reads") permit (principal, action == Action::"read", resource);
@id("the-door") permit (principal, action == Action::"connect", resource == Resource::"doored")
when { context.agent == Agent::"planner/1.0" };
"""


@pytest.fixture
def proxy(home: Home) -> Iterator[Proxy]:
    with run_proxy(home) as running:
        yield running


def test_who_may_not_connect_reads_why_and_is_on_record(proxy: Proxy, postgres_server: Postgres) -> None:
    port = register(proxy, postgres_server, "doored")
    other = register(proxy, postgres_server, "closed")
    login: Any = issue_credential(proxy.home, proxy.writer, "door-agent")
    with psycopg.connect(url(other, login), autocommit=True) as inside, policy_in_force(proxy, RULES):
        with psycopg.connect(url(port, login), autocommit=True) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError, match=r"policy does not let planner/1\.0 connect: no policy"):
            psycopg.connect(url(other, login))
        assert inside.execute("SELECT 2").fetchone() == (2,)
    trails = wait_for_trails(proxy.home, "closed", 2)
    (refused,) = [trail for trail in trails if trail.events[-1].status == "denied"]
    kinds = [event.kind for event in refused.events]
    assert kinds == [
        "session.opened", "action.requested", "action.decided", "action.completed", "session.closed",
    ]  # fmt: skip
    asked = refused.events[1]
    assert (asked.statement, asked.operation, asked.verdict) == ("CONNECT closed", "connect", "deny")
    assert asked.attributes["policy.version"] and [event.seq for event in refused.events] == [1, 2, 3, 4, 5]


def test_a_tunnel_that_may_not_be_is_cut(proxy: Proxy) -> None:
    with echo_server() as port:
        resource = proxy.register("walled", "tcp", {"host": "127.0.0.1", "port": port}, principal="job")
        with policy_in_force(proxy, RULES):
            with socket.create_connection(("127.0.0.1", resource.listen), timeout=30) as client:
                assert client.recv(1) == b""
    (trail,) = wait_for_trails(proxy.home, "walled", 1)
    assert trail.events[-1].status == "denied"
