"""The demo's PostgreSQL: a real server on loopback, SCRAM logins, run as another user when started by root."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from deploy.embedded.jars import fetch_postgres
from deploy.embedded.process import LOOPBACK, StackError, require_free_port, spawn
from deploy.embedded.server import Server

SUPERUSER: Final = "postgres"
DATABASE: Final = "postgres"
INIT_TIMEOUT_S: Final = 60
START_TIMEOUT_S: Final = 60.0
# The server's user may be unable to walk to the data directory (a home is closed to others); started with
# the directory as its working directory it reaches it through this name.
HERE: Final = "/proc/self/cwd"
STARTUP_BODY: Final = b"\x00\x03\x00\x00user\x00postgres\x00database\x00postgres\x00\x00"
STARTUP_MESSAGE: Final = (len(STARTUP_BODY) + 4).to_bytes(4, "big") + STARTUP_BODY
UNPRIVILEGED: Final = ("postgres", "nobody")

SERVER_SETTINGS: Final = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "shared_buffers": "64MB",
    "max_connections": "300",
    "log_min_messages": "warning",
    # Statements may hold secrets, and this log is not the record.
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
}


@dataclass(frozen=True)
class PostgresSettings:
    """`home` holds the data directory; `extra` are further server settings (postgresql.conf names).

    `binaries` is the directory of another server's programs; None: the ones that `make setup` fetched.
    """

    home: Path
    port: int
    password: str = field(repr=False)
    log_path: Path
    extra: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    binaries: Path | None = None


class PostgresServer(Server):
    """Initialises its data on the first start, reuses it afterwards."""

    name = "demo-postgres"
    start_timeout_s = START_TIMEOUT_S
    stop_signal = signal.SIGINT  # SIGTERM would wait until every client has gone

    def __init__(self, settings: PostgresSettings) -> None:
        super().__init__()
        self.settings = settings

    @property
    def data_dir(self) -> Path:
        return self.settings.home / "data"

    @property
    def log_path(self) -> Path:
        return self.settings.log_path

    def _spawn(self) -> subprocess.Popen[bytes]:
        """See `Server`."""
        require_free_port("demo-postgres", self.settings.port)
        binaries = self.settings.binaries or fetch_postgres() / "bin"
        user = find_unprivileged_user()
        self._initialise(binaries, user)
        options = SERVER_SETTINGS | dict(self.settings.extra) | {"port": str(self.settings.port)}
        argv = [str(binaries / "postgres"), "-D", HERE]
        for name, value in options.items():
            argv += ["-c", f"{name}={value}"]
        return spawn(
            argv,
            log_path=self.log_path,
            env=_server_env(self.settings.env),
            cwd=self.data_dir,
            user=user,
            stop_signal=self.stop_signal,
        )

    def is_ready(self) -> bool:
        """Whether the server answers a startup message with a request for the password."""
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.settings.port), 1.0) as probe:
            probe.sendall(STARTUP_MESSAGE)
            return probe.recv(1) == b"R"
        return False

    def _initialise(self, binaries: Path, user: tuple[int, int] | None) -> None:
        """initdb into a sibling that is renamed, so that an interrupted one is done again."""
        if self.data_dir.is_dir():
            return
        self.settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        scratch = self.settings.home / "data.new"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        if user is not None:
            os.chown(scratch, *user)
        done = _run_initdb(binaries, scratch, self.settings.password, user)
        if done.returncode:
            lines = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
            raise StackError(f"initdb failed: {' '.join(lines[:1]) or 'no output'}")
        scratch.rename(self.data_dir)


def find_unprivileged_user() -> tuple[int, int] | None:
    """(uid, gid) to run the server as; None when this process is not root. initdb needs a user with a name."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise StackError(f"PostgreSQL does not run as root: create a user named {' or '.join(UNPRIVILEGED)}")


def _run_initdb(
    binaries: Path, scratch: Path, password: str, user: tuple[int, int] | None
) -> subprocess.CompletedProcess[bytes]:
    # The password goes through memory: no file and no command line ever shows it.
    password_file = os.memfd_create("password")
    try:
        os.write(password_file, password.encode())
        if user is not None:
            os.fchown(password_file, *user)
        return subprocess.run(
            [
                str(binaries / "initdb"),
                *("-D", HERE, "-U", SUPERUSER, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
                *("--no-sync", "--no-instructions", f"--pwfile=/proc/self/fd/{password_file}"),
            ],
            cwd=scratch,
            env=_server_env(os.environ),
            capture_output=True,
            timeout=INIT_TIMEOUT_S,
            check=False,
            pass_fds=(password_file,),
            user=None if user is None else user[0],
            group=None if user is None else user[1],
            extra_groups=None if user is None else [],
        )
    finally:
        os.close(password_file)


def _server_env(env: Mapping[str, str]) -> dict[str, str]:
    """`env` without PG* variables, which would change what the server does."""
    return {name: value for name, value in env.items() if not name.startswith("PG")}
