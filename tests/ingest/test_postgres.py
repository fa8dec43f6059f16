"""PostgreSQL through the proxy, with real clients, a real server and a real broker."""

import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from schemas.runtime import Home, write_private
from tests.support.kafka import Kafka
from tests.support.postgres import Postgres
from tests.support.proxies import Login, Proxy, issue_credential, run_proxy, wait_for_trails


@pytest.fixture
def proxy(home: Home) -> Iterator[Proxy]:
    with run_proxy(home) as running:
        yield running


@pytest.fixture
def login(home: Home, proxy: Proxy) -> Login:
    return issue_credential(home, proxy.writer)


def register(proxy: Proxy, server: Postgres, name: str, **settings: object) -> int:
    write_private(proxy.home.secrets / "pg.password", server.password.encode())
    upstream = {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "database": server.create_database(),
        "secret": "file:pg.password",
    }
    return proxy.register(name, "postgres", upstream, **settings).listen


def url(port: int, login: Login, **parameters: str) -> str:
    query = "&".join(f"{key}={value}" for key, value in parameters.items())
    return f"postgresql://{login.id}:{login.secret}@127.0.0.1:{port}/?{query}"


def test_psql_runs_and_the_trail_has_it_all(proxy: Proxy, login: Login, postgres_server: Postgres) -> None:
    port = register(proxy, postgres_server, "psql")
    script = (
        "CREATE TABLE t(a int, b text); INSERT INTO t VALUES (1,'x'),(2,NULL); SELECT * FROM t ORDER BY a; SELECT 1/0"
    )
    done = subprocess.run(
        ["psql", url(port, login), "-AtX", *(arg for part in script.split("; ") for arg in ("-c", part))],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "1|x\n2|\n" in done.stdout, done.stderr
    assert "division by zero" in done.stderr
    (trail,) = wait_for_trails(proxy.home, "psql", 1)
    assert (trail.context.principal, trail.context.agent) == ("ann@example.test", "planner/1.0")
    requested, completed = trail.of("action.requested"), trail.of("action.completed")
    assert [event.statement for event in requested] == script.split("; ")
    assert [event.status for event in completed] == ["00000", "00000", "00000", "22012"]
    assert [event.operation for event in requested] == ["ddl", "write", "read", "read"]
    assert completed[2].rows == 2 and b'"x"' in completed[2].payload
    assert [event.action_id for event in requested] == [event.action_id for event in completed]
    assert trail.kinds()[0] == "session.opened" and trail.kinds()[-1] == "session.closed"


def test_psycopg_parameters_are_decoded(proxy: Proxy, login: Login, postgres_server: Postgres) -> None:
    port = register(proxy, postgres_server, "psycopg")
    with psycopg.connect(url(port, login)) as connection:
        row = connection.execute("SELECT %s::int + 1, %s", (41, "ü")).fetchone()
        assert row == (42, "ü")
    (trail,) = wait_for_trails(proxy.home, "psycopg", 1)
    request = next(event for event in trail.of("action.requested") if "+ 1" in event.statement)
    assert request.parameters == ["41", "ü"]


def test_a_wrong_secret_is_refused_and_recorded(proxy: Proxy, login: Login, postgres_server: Postgres) -> None:
    port = register(proxy, postgres_server, "wrong")
    for user in (login.id, "nobody"):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url(port, Login(user, "wrong")))
    trails = wait_for_trails(proxy.home, "wrong", 2)
    assert [trail.events[-1].status for trail in trails] == ["login_refused"] * 2


def test_pgbench_runs_simple_and_prepared(proxy: Proxy, login: Login, postgres_server: Postgres, kafka: Kafka) -> None:
    port = register(proxy, postgres_server, "pgbench")
    subprocess.run(["pgbench", "-iq", url(port, login)], check=True, capture_output=True, timeout=120)
    for protocol in ("simple", "extended", "prepared"):
        done = subprocess.run(
            ["pgbench", "-n", "-M", protocol, "-c", "4", "-t", "25", url(port, login)],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "100/100" in done.stdout, done.stderr
    wait_for_trails(proxy.home, "pgbench", 13)
