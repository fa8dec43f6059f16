"""The demo's PostgreSQL is a real server with real logins."""

import os
from pathlib import Path

import psutil
import psycopg
import pytest

from deploy.embedded.postgres import PostgresServer, PostgresSettings, find_unprivileged_user
from deploy.embedded.process import PortTaken
from tests.support.ports import get_free_port
from tests.support.postgres import Postgres


def test_scram_and_md5_logins_with_and_without_tls(postgres_server: Postgres) -> None:
    for user, sslmode in (("postgres", "disable"), ("postgres", "verify-full"), ("md5_user", "disable")):
        with postgres_server.connect(user=user, sslmode=sslmode, sslrootcert=postgres_server.ca_file) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (user,)
            assert connection.pgconn.ssl_in_use == (sslmode != "disable")


def test_wrong_password_is_refused(postgres_server: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        postgres_server.connect(password="wrong")


def test_it_does_not_run_as_root(postgres_server: Postgres) -> None:
    child = postgres_server.server.child
    assert child is not None
    user = find_unprivileged_user()
    assert psutil.Process(child.pid).uids().effective == (user[0] if user else os.geteuid())
    assert psutil.Process(child.pid).uids().effective != 0


def test_data_survives_kill_and_a_taken_port_is_named(tmp_path: Path) -> None:
    settings = PostgresSettings(tmp_path / "postgres", get_free_port(), "example", tmp_path / "log")
    dsn = f"host=127.0.0.1 port={settings.port} user=postgres password=example dbname=postgres"
    server, second = PostgresServer(settings), PostgresServer(settings)
    try:
        server.start()
        with psycopg.connect(dsn) as connection:
            connection.execute("CREATE TABLE kept (id int)")
        with pytest.raises(PortTaken, match=f"demo-postgres: port {settings.port} on 127.0.0.1 is taken by process"):
            second.start()
        assert server.child is not None
        server.child.kill()
        server.child.wait()
        server.start()
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    finally:
        server.stop()
    assert "example" not in settings.log_path.read_text()
    assert "example" not in repr(settings)
