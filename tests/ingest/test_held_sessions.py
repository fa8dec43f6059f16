"""Held actions over PostgreSQL, with a real client, server and broker: they wait, and go on as people decide."""

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest

from schemas.runtime import Home
from tests.ingest.test_postgres import register, url
from tests.support.approvals import HOLDS, decide, events_of, policy_in_force, wait_for_held
from tests.support.homes import connect_home
from tests.support.kafka import Kafka
from tests.support.postgres import Postgres
from tests.support.proxies import Login, Proxy, issue_credential, run_proxy, wait_for_trails


@pytest.fixture(scope="module")
def proxy(secrets_home: Home, tmp_path_factory: pytest.TempPathFactory, kafka: Kafka) -> Iterator[Proxy]:
    home = Home(tmp_path_factory.mktemp("held") / "home")
    shutil.copytree(secrets_home.root, home.root)
    connect_home(home, kafka)
    with run_proxy(home) as running, policy_in_force(running, HOLDS):
        yield running


@pytest.fixture(scope="module")
def login(proxy: Proxy) -> Login:
    return issue_credential(proxy.home, proxy.writer, "held-agent")


class Client:
    """An agent with one connection; what it does runs in a thread, since it waits."""

    def __init__(self, port: int, login: Login) -> None:
        self.connection = psycopg.connect(url(port, login), autocommit=True)
        self.notices: list[str] = []
        self.connection.add_notice_handler(lambda told: self.notices.append(told.message_primary or ""))

    def execute(self, statement: str, *parameters: object) -> "Asked":
        return Asked(lambda: self.connection.execute(statement, parameters or None))  # type: ignore[arg-type]


class Asked(threading.Thread):
    """Something that was asked for and may take as long as people do."""

    def __init__(self, ask: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._ask = ask
        self.error: psycopg.Error | None = None
        self.answer: object = None
        self.start()

    def run(self) -> None:
        try:
            self.answer = self._ask()
        except psycopg.Error as error:
            self.error = error

    def wait(self) -> object:
        self.join(60)
        assert not self.is_alive()
        return self.answer


def test_an_approved_deletion_is_carried_out(proxy: Proxy, login: Login, postgres_server: Postgres) -> None:
    port = register(proxy, postgres_server, "held-approve")
    client = Client(port, login)
    client.connection.execute("CREATE TABLE t AS SELECT generate_series(1, 3) AS a")
    asked = client.execute("DELETE FROM t WHERE a = %s", 2)
    event = wait_for_held(proxy, "held-approve")
    assert asked.is_alive()
    assert client.notices and event.attributes["approval.id"] in client.notices[0]
    decide(proxy, event)
    asked.wait()
    assert asked.error is None
    assert client.connection.execute("SELECT count(*) FROM t").fetchone() == (2,)
    client.connection.close()
    (trail,) = wait_for_trails(proxy.home, "held-approve", 1)
    kinds = [event.kind for event in trail.events if event.action_id == event.action_id and event.action_id]
    assert kinds[2:6] == ["action.requested", "approval.requested", "approval.decided", "action.completed"]
    (decided,) = trail.of("approval.decided")
    assert (decided.status, decided.verdict) == ("approved", "allow")
    assert decided.attributes["approval.approver"] == "bob@example.test"
    assert decided.duration_us > 0


def test_a_denied_deletion_says_who_and_why_and_the_session_goes_on(
    proxy: Proxy, login: Login, postgres_server: Postgres
) -> None:
    port = register(proxy, postgres_server, "held-deny")
    client = Client(port, login)
    client.connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    asked = client.execute("DELETE FROM t")
    event = wait_for_held(proxy, "held-deny")
    decide(proxy, event, login_principal := "ann@example.test")  # her own agent: it does not count
    decide(proxy, event, verdict="deny", reason="not today")
    decide(proxy, event)  # too late
    asked.wait()
    assert isinstance(asked.error, psycopg.errors.InsufficientPrivilege)
    assert "not approved: denied by bob@example.test: not today" in str(asked.error)
    assert event.attributes["approval.id"] in str(asked.error)
    assert client.connection.execute("SELECT count(*) FROM t").fetchone() == (1,)
    proxy.wait_for(lambda: len(events_of(proxy, "held-deny", "approval.decided")) == 3)
    client.connection.close()
    (trail,) = wait_for_trails(proxy.home, "held-deny", 1)
    assert [event.status for event in trail.of("approval.decided")] == ["refused", "denied", "ignored"]
    assert trail.of("approval.decided")[0].attributes["approval.approver"] == login_principal
    assert [event.verdict for event in trail.of("action.decided")] == ["deny"]


def test_within_a_pipeline_answers_before_go_on_and_a_refusal_fails_the_transaction(
    proxy: Proxy, login: Login, postgres_server: Postgres
) -> None:
    """What was asked before the held action is answered while it waits; what comes behind waits for it."""
    port = register(proxy, postgres_server, "held-pipeline")
    client = Client(port, login)
    client.connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    before = threading.Event()

    def run() -> None:
        with client.connection.pipeline() as pipeline:
            first = client.connection.execute("SELECT 'before'")
            pipeline.sync()
            assert first.fetchone() == ("before",)
            before.set()
            client.connection.execute("BEGIN")
            client.connection.execute("INSERT INTO t VALUES (2)")
            client.connection.execute("DELETE FROM t")
            client.connection.execute("INSERT INTO t VALUES (3)")

    asked = Asked(run)
    event = wait_for_held(proxy, "held-pipeline")
    assert before.wait(30)
    decide(proxy, event, verdict="deny")
    asked.wait()
    assert isinstance(asked.error, psycopg.errors.InsufficientPrivilege)
    client.connection.rollback()
    assert client.connection.execute("SELECT count(*) FROM t").fetchone() == (1,)
    client.connection.close()


def test_a_shape_is_approved_for_this_session_alone(proxy: Proxy, login: Login, postgres_server: Postgres) -> None:
    port = register(proxy, postgres_server, "held-shape")
    one, other = Client(port, login), Client(port, login)
    one.connection.execute("CREATE TABLE t AS SELECT generate_series(1, 9) AS a")
    asked = one.execute("DELETE FROM t WHERE a = 1")
    decide(proxy, wait_for_held(proxy, "held-shape"), scope="shape", minutes=5)
    asked.wait()
    assert asked.error is None
    one.connection.execute("DELETE FROM t WHERE a = 2")  # does not wait
    asked = other.execute("DELETE FROM t WHERE a = 3")
    decide(proxy, wait_for_held(proxy, "held-shape", 2), verdict="deny")
    asked.wait()
    assert asked.error is not None
    assert one.connection.execute("SELECT count(*) FROM t").fetchone() == (7,)
    one.connection.close()
    other.connection.close()


def test_an_agent_may_cancel_what_waits_or_leave(proxy: Proxy, login: Login, postgres_server: Postgres) -> None:
    port = register(proxy, postgres_server, "held-cancel")
    client = Client(port, login)
    client.connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    asked = client.execute("DELETE FROM t")
    event = wait_for_held(proxy, "held-cancel")
    client.connection.cancel_safe()
    asked.wait()
    assert isinstance(asked.error, psycopg.errors.QueryCanceled)
    decide(proxy, event)  # finds nothing
    proxy.wait_for(lambda: len(events_of(proxy, "held-cancel", "approval.decided")) == 2)
    assert client.connection.execute("SELECT count(*) FROM t").fetchone() == (1,)
    asked = client.execute("DELETE FROM t WHERE a = 1")
    event = wait_for_held(proxy, "held-cancel", 2)
    with socket.socket(fileno=os.dup(client.connection.fileno())) as connection:
        connection.shutdown(socket.SHUT_RDWR)  # as if the agent had been killed
    asked.wait()
    (trail,) = wait_for_trails(proxy.home, "held-cancel", 1)
    decide(proxy, event)
    assert [event.status for event in trail.of("approval.decided")] == ["withdrawn", "ignored", "withdrawn"]
    with psycopg.connect(url(port, login), autocommit=True) as again:
        assert again.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_nobody_decides_and_the_time_is_over(proxy: Proxy, login: Login, postgres_server: Postgres) -> None:
    client = Client(register(proxy, postgres_server, "held-timeout", labels={"wait": "short"}), login)
    client.connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"nobody has decided within 1 s \(approval \w+\)"):
        client.connection.execute("DELETE FROM t")
    assert client.connection.execute("SELECT count(*) FROM t").fetchone() == (1,)
    client.connection.close()
