"""No record, no result: what an agent gets when the audit log is away, and what the trail says afterwards."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from schemas.runtime import Home
from tests.ingest.test_postgres import register, url
from tests.support.homes import connect_home
from tests.support.kafka import Kafka, run_kafka
from tests.support.postgres import Postgres
from tests.support.proxies import Login, Proxy, Trail, issue_credential, read_trails, run_proxy, wait_for_trails

AUDIT_TIMEOUT_S = 1.5


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker that these tests may stop."""
    with run_kafka(tmp_path_factory.mktemp("own-kafka")) as running:
        yield running


@pytest.fixture
def proxy(bare_home: Home, own_kafka: Kafka) -> Iterator[Proxy]:
    connect_home(bare_home, own_kafka, capture={"audit_timeout_s": AUDIT_TIMEOUT_S})
    with run_proxy(bare_home) as running:
        yield running


@pytest.fixture
def login(proxy: Proxy) -> Login:
    return issue_credential(proxy.home, proxy.writer)


@contextmanager
def broker_away(kafka: Kafka) -> Iterator[None]:
    """The broker is there and does not answer."""
    assert kafka.broker.child is not None
    os.kill(kafka.broker.child.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(kafka.broker.child.pid, signal.SIGCONT)


def connect(port: int, login: Login) -> psycopg.Connection:
    return psycopg.connect(url(port, login), autocommit=True, connect_timeout=30)


def retry(connect_again: object, timeout_s: float = 30) -> psycopg.Connection:
    """Service resumes by itself: connect as soon as it does."""
    assert callable(connect_again)
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection: psycopg.Connection = connect_again()
            return connection
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_block_refuses_reads_and_writes_and_resumes(
    proxy: Proxy, login: Login, own_kafka: Kafka, postgres_server: Postgres
) -> None:
    port = register(proxy, postgres_server, "block")
    with connect(port, login) as reader, connect(port, login) as writer, connect(port, login) as idle:
        writer.execute("CREATE TABLE t(a int)")
        idle.execute("SELECT 1")
        with broker_away(own_kafka):
            # The read was forwarded, its answer is held and never delivered.
            with pytest.raises(psycopg.OperationalError, match="the answer is withheld"):
                reader.execute("SELECT 'never seen'")
            # By now the log is known to be away: the write is refused at once, and the session goes on.
            with pytest.raises(psycopg.errors.IoError, match="not executed"):
                writer.execute("INSERT INTO t VALUES (1)")
            with pytest.raises(psycopg.OperationalError, match="audit log does not answer"):
                connect(port, login)
        retry(lambda: connect(port, login)).close()
        assert writer.execute("SELECT count(*) FROM t").fetchone() == (0,)
        assert idle.execute("SELECT 2").fetchone() == (2,)
    trails = wait_for_trails(proxy.home, "block", 4)
    reasons = [trail.events[-1].status for trail in trails]
    assert "audit_unavailable" in reasons
    refused = [trail.events[-1].attributes.get("refused_without_record") for trail in trails]
    assert "1" in refused
    statements = [event.statement for trail in trails for event in trail.of("action.requested")]
    assert "SELECT 'never seen'" in statements and "INSERT INTO t VALUES (1)" not in statements


def test_a_write_is_not_forwarded_before_its_record(
    proxy: Proxy, login: Login, own_kafka: Kafka, postgres_server: Postgres
) -> None:
    port = register(proxy, postgres_server, "write")
    with connect(port, login) as connection:
        connection.execute("CREATE TABLE w(a int)")
        with broker_away(own_kafka), pytest.raises(psycopg.OperationalError, match="not executed"):
            connection.execute("INSERT INTO w VALUES (1)")
    with retry(lambda: connect(port, login)) as again:
        assert again.execute("SELECT count(*) FROM w").fetchone() == (0,)


def test_best_effort_goes_on(proxy: Proxy, login: Login, own_kafka: Kafka, postgres_server: Postgres) -> None:
    port = register(proxy, postgres_server, "best", record="best_effort")
    with connect(port, login) as connection:
        with broker_away(own_kafka):
            for number in range(5):
                assert connection.execute("SELECT %s::int", (number,)).fetchone() == (number,)
    trail = wait_for_trails(proxy.home, "best", 1)[0]
    assert [event.rows for event in trail.of("action.completed")][-5:] == [1] * 5


def test_spool_goes_on_and_the_trail_says_so(
    proxy: Proxy, login: Login, own_kafka: Kafka, postgres_server: Postgres
) -> None:
    port = register(proxy, postgres_server, "spool", on_audit_failure="spool")
    with connect(port, login) as connection:
        connection.execute("CREATE TABLE s(a int)")
        with broker_away(own_kafka):
            for number in range(3):
                connection.execute("INSERT INTO s VALUES (%s)", (number,))
            spooled = list((proxy.home.spool / "proxy-tcp").glob("*.spool"))
            assert any(path.stat().st_size for path in spooled)
            assert not any(b"INSERT" in path.read_bytes() for path in spooled)
        assert connection.execute("SELECT count(*) FROM s").fetchone() == (3,)
    trail = wait_for_trail_with(proxy.home, "spool", "SELECT count(*) FROM s")
    assert [event.statement for event in trail.of("action.requested")].count("INSERT INTO s VALUES ($1)") == 3
    assert any(event.attributes.get("durability") == "spool" for event in trail.events)


def wait_for_trail_with(home: Home, resource: str, statement: str, timeout_s: float = 30) -> Trail:
    """The session in which a statement was recorded."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for trail in read_trails(home, resource):
            if any(event.statement == statement for event in trail.events):
                return trail
        time.sleep(0.1)
    raise AssertionError(f"{statement} is not in the trail")


@pytest.mark.parametrize(("record", "is_answered"), [("request", True), ("complete", False)])
def test_what_happens_when_the_log_goes_away_while_the_upstream_works(
    proxy: Proxy, login: Login, own_kafka: Kafka, postgres_server: Postgres, record: str, is_answered: bool
) -> None:
    """The request is durable and forwarded; only `complete` also needs the record of the outcome."""
    port = register(proxy, postgres_server, f"while-{record}", record=record)
    with connect(port, login) as connection, ThreadPoolExecutor(1) as pool:
        connection.execute("CREATE TABLE u(a int)")
        working = pool.submit(connection.execute, "INSERT INTO u SELECT 1 FROM pg_sleep(1)")
        time.sleep(0.6)
        with broker_away(own_kafka):
            if is_answered:
                assert working.result(30).rowcount == 1
            else:
                with pytest.raises(psycopg.OperationalError, match="outcome is not recorded") as caught:
                    working.result(30)
                assert caught.value.sqlstate == "08007"
