"""PostgreSQL through the proxy, with real clients, a real server and a real broker."""

import hmac
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from schemas.runtime import Home, write_private
from tests.support.homes import connect_home
from tests.support.kafka import Kafka
from tests.support.postgres import Postgres, make_certificate, run_postgres
from tests.support.proxies import Login, Proxy, issue_credential, run_proxy, wait_for_trails

SESSIONS = 200


@pytest.fixture
def proxy(home: Home) -> Iterator[Proxy]:
    with run_proxy(home) as running:
        yield running


@pytest.fixture
def login(home: Home, proxy: Proxy) -> Login:
    return issue_credential(home, proxy.writer)


def register(
    proxy: Proxy, server: Postgres, name: str, upstream: dict[str, object] | None = None, **settings: object
) -> int:
    write_private(proxy.home.secrets / "pg.password", server.password.encode())
    target = {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "database": server.create_database(),
        "secret": "file:pg.password",
    }
    return proxy.register(name, "postgres", target | (upstream or {}), **settings).listen


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
    assert {trail.context.credential_id for trail in trails} == {login.id, "nobody"}
    assert {(trail.context.principal, trail.context.agent) for trail in trails} == {("unauthenticated", "unknown")}


def test_md5_login_for_clients_that_know_no_other(proxy: Proxy, login: Login, postgres_server: Postgres) -> None:
    port = register(proxy, postgres_server, "md5", agent_login="md5")
    with psycopg.connect(url(port, login, require_auth="md5")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url(port, Login(login.id, "wrong")))
    trails = wait_for_trails(proxy.home, "md5", 2)
    assert trails[0].context.attributes["login"] == "md5"


@pytest.fixture
def tls_proxy(home: Home, kafka: Kafka) -> Iterator[Proxy]:
    certificate, key = make_certificate()
    (home.root / "listener.pem").write_bytes(certificate)
    write_private(home.root / "listener.key", key)
    files = {"tls_certificate": str(home.root / "listener.pem"), "tls_key": str(home.root / "listener.key")}
    connect_home(home, kafka, capture=files)
    with run_proxy(home) as running:
        yield running


@pytest.mark.parametrize("mode", ["off", "require", "verify"])
def test_tls_on_both_legs(tls_proxy: Proxy, postgres_server: Postgres, mode: str) -> None:
    login = issue_credential(tls_proxy.home, tls_proxy.writer)
    upstream = {"tls": mode, "ca_file": str(postgres_server.ca_file) if mode == "verify" else ""}
    port = register(tls_proxy, postgres_server, f"tls-{mode}", upstream=upstream)
    with psycopg.connect(url(port, login, sslmode="require")) as connection:
        row = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
        assert row == (mode != "off",)
    (trail,) = wait_for_trails(tls_proxy.home, f"tls-{mode}", 1)
    assert trail.context.tls.startswith("TLSv1.3")


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


def test_a_cancel_reaches_the_upstream(proxy: Proxy, login: Login, postgres_server: Postgres) -> None:
    port = register(proxy, postgres_server, "cancel")
    with psycopg.connect(url(port, login), autocommit=True) as connection:
        timer = threading.Timer(0.5, connection.cancel_safe)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(60)")
        timer.join()
    (trail,) = wait_for_trails(proxy.home, "cancel", 1)
    assert trail.of("action.completed")[-1].status == "57014"
    assert any(event.attributes.get("what") == "cancel_request" for event in trail.events)


async def test_psycopg_async_pipeline_and_copy(proxy: Proxy, login: Login, postgres_server: Postgres) -> None:
    port = register(proxy, postgres_server, "pipeline")
    async with await psycopg.AsyncConnection.connect(url(port, login), autocommit=True) as connection:
        await connection.execute("CREATE TABLE c(a int, b text)")
        async with connection.pipeline():
            cursors = [await connection.execute("SELECT %s::int", (number,)) for number in range(5)]
        assert [(await cursor.fetchone())[0] for cursor in cursors] == list(range(5))  # type: ignore[index]
        async with connection.cursor() as cursor:
            async with cursor.copy("COPY c FROM STDIN") as copy:
                for number in range(1000):
                    await copy.write_row((number, f"value {number}"))
            async with cursor.copy("COPY c TO STDOUT") as copy:
                rows = [row async for row in copy.rows()]
        assert len(rows) == 1000
    (trail,) = wait_for_trails(proxy.home, "pipeline", 1)
    selects = [event for event in trail.of("action.requested") if event.statement == "SELECT $1::int"]
    assert [event.parameters for event in selects] == [[str(number)] for number in range(5)]
    completed = {event.action_id: event for event in trail.of("action.completed")}
    copies = [event for event in trail.of("action.requested") if event.statement.startswith("COPY")]
    assert [completed[event.action_id].rows for event in copies] == [1000, 1000]
    assert b"value 0" in b"".join(event.payload for event in trail.of("data.sent"))


@pytest.fixture
def debian_server() -> Iterator[Postgres]:
    """A server of the version that the installed pg_dump takes: it refuses newer ones."""
    version = subprocess.run(["pg_dump", "--version"], capture_output=True, text=True, check=True).stdout
    major = version.split()[2].split(".")[0]
    with tempfile.TemporaryDirectory(prefix="custody-") as name:
        # Before version 16 the server's user must be able to walk to its directory from the root.
        for directory in (Path(name), Path(name) / "postgres"):
            directory.mkdir(exist_ok=True)
            directory.chmod(0o755)
        with run_postgres(Path(name), Path(f"/usr/lib/postgresql/{major}/bin")) as running:
            yield running


def test_dump_and_restore(proxy: Proxy, login: Login, debian_server: Postgres, tmp_path: Path) -> None:
    port = register(proxy, debian_server, "dump")
    with psycopg.connect(url(port, login), autocommit=True) as connection:
        connection.execute("CREATE TABLE d AS SELECT g AS a, repeat('x', 100) AS b FROM generate_series(1, 2000) g")
    file = tmp_path / "dump"
    subprocess.run(["pg_dump", "-Fc", "-t", "d", "-f", file, url(port, login)], check=True, timeout=60)
    with psycopg.connect(url(port, login), autocommit=True) as connection:
        connection.execute("DROP TABLE d")
    subprocess.run(["pg_restore", "-d", url(port, login), file], check=True, timeout=60)
    with psycopg.connect(url(port, login), autocommit=True) as connection:
        assert connection.execute("SELECT count(*), sum(a) FROM d").fetchone() == (2000, 2_001_000)


def count_descriptors(process: psutil.Process) -> int:
    """But those of listeners: one opens whenever a port that another test's resource wants becomes free."""
    listeners = [each for each in process.net_connections() if each.status == psutil.CONN_LISTEN]
    return process.num_fds() - len(listeners)


def test_two_hundred_sessions_at_once_leave_nothing_behind(
    proxy: Proxy, login: Login, postgres_server: Postgres
) -> None:
    port = register(proxy, postgres_server, "many")
    process = psutil.Process(proxy.process.pid)
    before = count_descriptors(process)

    def work(number: int) -> int:
        with psycopg.connect(url(port, login), autocommit=True, connect_timeout=120) as connection:
            row = connection.execute("SELECT %s::int", (number,)).fetchone()
            ready.wait(120)
            assert row is not None
            return int(row[0])

    ready = threading.Barrier(SESSIONS)
    with ThreadPoolExecutor(SESSIONS) as pool:
        assert sorted(pool.map(work, range(SESSIONS))) == list(range(SESSIONS))
    trails = wait_for_trails(proxy.home, "many", SESSIONS, timeout_s=60)
    assert {trail.events[-1].status for trail in trails} == {"terminated"}
    proxy.wait_for(lambda: count_descriptors(process) <= before)


def test_agents_that_leave_without_a_word(proxy: Proxy, login: Login, postgres_server: Postgres) -> None:
    port = register(proxy, postgres_server, "rude")
    process = psutil.Process(proxy.process.pid)
    before = count_descriptors(process)
    for leave in ("close", "reset", "half-close", "slow"):
        connection = psycopg.connect(url(port, login), autocommit=True)
        with socket.socket(fileno=os.dup(connection.fileno())) as raw:
            raw.setblocking(True)
            statement = b"SELECT repeat('x', 1000) FROM generate_series(1, 20000)\0"
            raw.sendall(b"Q" + (len(statement) + 4).to_bytes(4, "big") + statement)
            if leave == "reset":
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            elif leave == "half-close":
                raw.shutdown(socket.SHUT_WR)
                got = b""
                while chunk := raw.recv(1 << 16):
                    got += chunk
                assert got.count(b"D\0\0\x03\xf2") == 20000
            elif leave == "slow":
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                time.sleep(1)
                assert process.memory_info().rss < 400 << 20
        connection.close()
    trails = wait_for_trails(proxy.home, "rude", 4)
    assert all(trail.events[-1].attributes["reason"] for trail in trails)
    proxy.wait_for(lambda: count_descriptors(process) <= before)


@pytest.mark.parametrize("gigabytes", [pytest.param(1 / 8), pytest.param(1, marks=pytest.mark.soak)])
def test_a_large_copy_passes_in_bounded_memory(
    proxy: Proxy, login: Login, postgres_server: Postgres, gigabytes: float
) -> None:
    """Bound: 160 MiB above the idle process, whatever the size; the digest is that of every byte of COPY data."""
    name = f"large-{gigabytes}"
    port = register(proxy, postgres_server, name)
    process = psutil.Process(proxy.process.pid)
    line = b"x" * 1023 + b"\n"
    count = int(gigabytes * (1 << 20))
    key = hmac.digest(proxy.home.read_key("digest.key"), b"custody digest v1", "sha256")
    expected = hmac.new(key, digestmod="sha256")
    with psycopg.connect(url(port, login), autocommit=True) as connection:
        connection.execute("CREATE UNLOGGED TABLE big(a text)")
        idle = process.memory_info().rss
        peak = idle
        with connection.cursor() as cursor:
            with cursor.copy("COPY big FROM STDIN") as copy:
                for _ in range(count // 64):
                    copy.write(line * 64)
                    expected.update(line * 64)
                    peak = max(peak, process.memory_info().rss)
            assert cursor.rowcount == count
            with cursor.copy("COPY big TO STDOUT") as copy:
                size = 0
                for data in copy:
                    size += len(data)
                    peak = max(peak, process.memory_info().rss)
        assert size == count * 1024
        connection.execute("DROP TABLE big")
    assert peak - idle < 160 << 20
    (trail,) = wait_for_trails(proxy.home, name, 1, timeout_s=60)
    copy_in, copy_out = (event for event in trail.of("action.completed") if "copy_format" in event.attributes)
    assert copy_in.payload_digest == copy_out.payload_digest == expected.digest()
