"""Listeners follow control: resources come, change and go; credentials end; idle sessions end."""

import socket
import time
from collections.abc import Iterator

import psycopg
import pytest

from schemas.events import ControlKind
from schemas.runtime import Home, read_run_state
from tests.ingest.test_opaque import echo_server, talk
from tests.ingest.test_postgres import register, url
from tests.support.postgres import Postgres
from tests.support.proxies import Proxy, issue_credential, run_proxy, wait_for_trails


@pytest.fixture
def proxy(home: Home) -> Iterator[Proxy]:
    with run_proxy(home) as running:
        yield running


def test_a_changed_resource_keeps_live_sessions_and_a_removed_one_stops_listening(proxy: Proxy) -> None:
    with echo_server() as first, echo_server() as second:
        resource = proxy.register("live", "tcp", {"host": "127.0.0.1", "port": first}, principal="job")
        with socket.create_connection(("127.0.0.1", resource.listen), timeout=30) as client:
            client.sendall(b"a")
            assert client.recv(1) == b"a"
            moved = resource.model_dump() | {"upstream": {"host": "127.0.0.1", "port": second}}
            proxy.writer.put(ControlKind.RESOURCE, "live", moved)
            time.sleep(0.5)
            client.sendall(b"b")
            assert client.recv(1) == b"b"
        assert talk(resource.listen, b"new") == b"new"
        proxy.writer.put(ControlKind.RESOURCE, "live", None)
        proxy.wait_for(lambda: "live" not in proxy.ports)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", resource.listen), timeout=5)
    trails = wait_for_trails(proxy.home, "live", 2)
    assert {trail.context.upstream for trail in trails} == {f"127.0.0.1:{first}", f"127.0.0.1:{second}"}


def test_a_taken_port_is_named_and_the_other_resources_serve(proxy: Proxy) -> None:
    with echo_server() as port, socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        proxy.writer.put(
            ControlKind.RESOURCE,
            "taken",
            {
                "name": "taken",
                "protocol": "tcp",
                "listen": number,
                "principal": "job",
                "upstream": {"host": "127.0.0.1", "port": port},
            },
        )
        other = proxy.register("other", "tcp", {"host": "127.0.0.1", "port": port}, principal="job")
        assert talk(other.listen, b"x") == b"x"
        assert f"port {number}" in proxy.log.read_text()
        assert f"port {number}: " in alarms_of(proxy)["taken"]
        taken.close()
        proxy.wait_for(lambda: "taken" in proxy.ports)
        assert talk(number, b"y") == b"y"
        assert "taken" not in alarms_of(proxy)
        assert proxy.log.read_text().count(f"port {number}") == 1


def alarms_of(proxy: Proxy) -> dict[str, str]:
    """What the proxy says of itself in its run state."""
    state = read_run_state(proxy.home, "proxy-tcp")
    assert state is not None
    return dict(state.detail["alarms"])


def test_a_malformed_resource_is_left_out(proxy: Proxy) -> None:
    proxy.writer.put(ControlKind.RESOURCE, "broken", {"name": "broken"})
    with echo_server() as port:
        resource = proxy.register("whole", "tcp", {"host": "127.0.0.1", "port": port}, principal="job")
        assert talk(resource.listen, b"x") == b"x"
    assert "broken" in proxy.log.read_text()


def test_an_idle_session_is_closed_with_the_reason(proxy: Proxy) -> None:
    with echo_server() as port:
        resource = proxy.register(
            "idle", "tcp", {"host": "127.0.0.1", "port": port}, principal="job", limits={"idle_timeout_s": 0.5}
        )
        with socket.create_connection(("127.0.0.1", resource.listen), timeout=30) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            assert client.recv(1) == b""
    (trail,) = wait_for_trails(proxy.home, "idle", 1)
    assert trail.events[-1].status == "idle_timeout"


def test_a_revoked_credential_ends_its_sessions(proxy: Proxy, postgres_server: Postgres) -> None:
    port = register(proxy, postgres_server, "revoked")
    login = issue_credential(proxy.home, proxy.writer, "revoked-agent")
    connection = psycopg.connect(url(port, login), autocommit=True)
    proxy.writer.put(ControlKind.REVOCATION, login.id, {"reason": "test"})
    deadline = time.monotonic() + 20
    with pytest.raises(psycopg.OperationalError):
        while time.monotonic() < deadline:
            connection.execute("SELECT 1")
            time.sleep(0.05)
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(url(port, login))
    trails = wait_for_trails(proxy.home, "revoked", 2)
    assert [trail.events[-1].status for trail in trails] == ["credential_over", "login_refused"]


def test_an_expired_or_foreign_credential_is_refused(proxy: Proxy, postgres_server: Postgres) -> None:
    port = register(proxy, postgres_server, "refused")
    for login in (
        issue_credential(proxy.home, proxy.writer, "expired-agent", ttl_s=0.001),
        issue_credential(proxy.home, proxy.writer, "foreign-agent", resources=("another",)),
    ):
        time.sleep(0.01)
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            psycopg.connect(url(port, login))
    trails = wait_for_trails(proxy.home, "refused", 2)
    assert [trail.events[-1].attributes["error"] for trail in trails] == [
        "expired credential",
        "credential is not for refused",
    ]


def test_sigterm_closes_sessions_and_records_the_stop(proxy: Proxy, postgres_server: Postgres) -> None:
    port = register(proxy, postgres_server, "stopping")
    login = issue_credential(proxy.home, proxy.writer, "stopping-agent")
    connection = psycopg.connect(url(port, login), autocommit=True)
    connection.execute("SELECT 1")
    proxy.stop()
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 2")
    (trail,) = wait_for_trails(proxy.home, "stopping", 1)
    assert trail.events[-1].status == "proxy_stopped"
    own = wait_for_trails(proxy.home, "custody", 1)[-1]
    assert own.kinds()[:2] == ["session.opened", "proxy.started"] and "proxy.stopped" in own.kinds()
