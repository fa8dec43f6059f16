"""Credentials that hold only with a workload's client certificate, over PostgreSQL."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from schemas.events import ControlKind
from schemas.runtime import Home
from tests.ingest.test_postgres import register, url
from tests.support.homes import connect_home
from tests.support.kafka import Kafka
from tests.support.postgres import Postgres
from tests.support.proxies import Login, Proxy, issue_credential, run_proxy, wait_for_trails
from tests.support.svids import Authority, Issued

PLANNER, EXECUTOR = "spiffe://mesh.example/planner", "spiffe://mesh.example/executor"
MESH, OTHER, SERVER = Authority("mesh"), Authority("other"), Authority("server")


@pytest.fixture
def proxy(home: Home, kafka: Kafka) -> Iterator[Proxy]:
    for name, authority in (("mesh", MESH), ("other", OTHER)):
        (home.root / f"{name}.bundle").write_bytes(authority.pem)
    certificate, key = SERVER.issue(ips=["127.0.0.1"]).write(home.root, "listener")
    domains = [
        {"name": name, "trust_domain": f"{name}.example", "bundle_file": str(home.root / f"{name}.bundle")}
        for name in ("mesh", "other")
    ]
    capture = {"tls_certificate": certificate, "tls_key": key}
    connect_home(home, kafka, capture=capture, identity={"trust_domains": domains})
    with run_proxy(home) as running:
        yield running


def connect(port: int, login: Login, folder: Path, issued: Issued | None, *, mode: str = "require") -> None:
    files = {}
    if issued is not None:
        certificate, key = issued.write(folder, "client")
        files = {"sslcert": certificate, "sslkey": key}
    with psycopg.connect(url(port, login, sslmode=mode, **files)) as connection:
        assert connection.execute("SELECT 7").fetchone() == (7,)


def test_who_has_the_certificate_needs_no_password_and_who_has_not_gets_nowhere(
    proxy: Proxy, postgres_server: Postgres, tmp_path: Path
) -> None:
    port = register(proxy, postgres_server, "bound")
    bound = issue_credential(proxy.home, proxy.writer, "bound-1", spiffe_id=PLANNER)
    free = issue_credential(proxy.home, proxy.writer, "free-1")
    planner = MESH.issue(PLANNER)
    connect(port, Login(bound.id, "any-password"), tmp_path, planner)
    connect(port, free, tmp_path, None)
    connect(port, free, tmp_path, None, mode="disable")
    connect(port, free, tmp_path, MESH.issue(EXECUTOR))
    connect(port, free, tmp_path, MESH.issue(dns=["no-workload"]))
    refused: list[tuple[Login, Issued | None, str]] = [
        (bound, None, "require"),
        (bound, None, "disable"),
        (bound, MESH.issue(EXECUTOR), "require"),
        (bound, MESH.issue(PLANNER, EXECUTOR), "require"),
        (bound, OTHER.issue(PLANNER), "require"),
        (Login(free.id, "wrong"), planner, "require"),
        (Login("nobody", "x"), planner, "require"),
    ]
    for login, issued, mode in refused:
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connect(port, login, tmp_path, issued, mode=mode)
    for issued in (Authority("mesh").issue(PLANNER), MESH.issue(PLANNER, ends=timedelta(seconds=-1))):
        with pytest.raises(psycopg.OperationalError):
            connect(port, bound, tmp_path, issued)
    trails = wait_for_trails(proxy.home, "bound", 5 + len(refused))
    first = trails[0].context
    assert (first.attributes["login"], first.attributes["workload"]) == ("certificate", PLANNER)
    assert first.attributes["certificate_serial"] == f"{planner.certificate.serial_number:x}"
    closed = [trail.of("session.closed")[-1].attributes.get("error", "") for trail in trails]
    assert len([error for error in closed if "bound to a client certificate" in error]) == 5


def test_a_revoked_credential_does_not_help_with_a_certificate(
    proxy: Proxy, postgres_server: Postgres, tmp_path: Path
) -> None:
    port = register(proxy, postgres_server, "bound-revoked")
    login = issue_credential(proxy.home, proxy.writer, "bound-2", spiffe_id=PLANNER)
    connect(port, login, tmp_path, MESH.issue(PLANNER))
    proxy.writer.put(ControlKind.REVOCATION, login.id, {"reason": "test"})
    deadline = time.monotonic() + 30
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        while time.monotonic() < deadline:  # until the proxy has read it, a second at most
            connect(port, login, tmp_path, MESH.issue(PLANNER))
    expired = issue_credential(proxy.home, proxy.writer, "bound-3", spiffe_id=PLANNER, ttl_s=-1)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(port, expired, tmp_path, MESH.issue(PLANNER))
