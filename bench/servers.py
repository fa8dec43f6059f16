"""Peers and homes for the benchmarks; the servers themselves come from the tests' support."""

import os
import pwd
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.process import is_listening
from deploy.embedded.secrets import create_secrets
from schemas.runtime import Home
from tests.support.homes import connect_home
from tests.support.kafka import Kafka
from tests.support.ports import get_free_port
from tests.support.postgres import Postgres


def bench_home(root: Path, kafka: Kafka, **settings: object) -> Home:
    """A home with all secrets, its settings pointing at the broker."""
    home = Home(root)
    create_secrets(home)
    connect_home(home, kafka, **settings)
    return home


@dataclass(frozen=True)
class Bouncer:
    """A running pgbouncer."""

    url: str


@contextmanager
def run_bouncer(directory: Path, server: Postgres) -> Iterator[Bouncer]:
    """pgbouncer in session mode before a server, stopped at the end. It refuses to run as root."""
    port = get_free_port()
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    users = directory / "pgbouncer-users.txt"
    users.write_text(f'"{server.user}" "{server.password}"\n')
    config = directory / "pgbouncer.ini"
    config.write_text(
        f"[databases]\n{server.database} = host={server.host} port={server.port} dbname={server.database}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = scram-sha-256\n"
        f"auth_file = {users}\npool_mode = session\nmax_client_conn = 200\ndefault_pool_size = 100\n"
        "unix_socket_dir =\nlogfile =\n"
    )
    for path in (users, config):
        path.chmod(0o644)
    with _run_listener("pgbouncer", port, "pgbouncer", "-q", "-u", user, str(config)):
        yield Bouncer(_url(server, port))


@contextmanager
def run_bare_relay(server: Postgres) -> Iterator[str]:
    """The URL of a server behind `bench.bare_relay`, which is stopped at the end."""
    port = get_free_port()
    command = (sys.executable, "-c", "from bench.bare_relay import run; run()", str(port), str(server.port))
    with _run_listener("the bare relay", port, *command):
        yield _url(server, port)


def _url(server: Postgres, port: int) -> str:
    return f"postgresql://{server.user}:{server.password}@127.0.0.1:{port}/{server.database}?sslmode=disable"


@contextmanager
def _run_listener(name: str, port: int, *command: str) -> Iterator[None]:
    """A process that listens on a port of loopback, stopped at the end."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not is_listening(port):
            assert process.poll() is None and time.monotonic() < deadline, f"{name} did not start"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(10)
