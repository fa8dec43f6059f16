"""A PostgreSQL that logs every statement in each of its forms and counts them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.embedded.postgres import PostgresServer, PostgresSettings
from tests.support.ports import get_free_port
from tests.support.postgres import Postgres

PREFIX = "%m [%p] %q%u@%d %h %c %e "
PASSWORD = "for-this-test-only"


@dataclass(frozen=True)
class Logging:
    """A running server and the directory of its logs."""

    postgres: Postgres
    logs: Path

    def log(self, ending: str) -> Path:
        return self.logs / f"server.{ending}"


@contextmanager
def run_logging(directory: Path, **settings: str) -> Iterator[Logging]:
    """A server of one's own; `settings` are PostgreSQL's."""
    directory.chmod(0o755)
    logs = {
        "logging_collector": "on",
        "log_destination": "stderr,csvlog,jsonlog",
        "log_directory": "own",
        "log_filename": "server.log",
        "log_line_prefix": PREFIX,
        "log_timezone": "UTC",
        "log_min_messages": "notice",
        "log_min_error_statement": "error",
        "shared_preload_libraries": "pg_stat_statements",
    }
    server = PostgresServer(
        PostgresSettings(
            directory / "postgres", get_free_port(), PASSWORD, directory / "start.log", extra=logs | settings
        )
    )
    server.start()
    try:
        yield Logging(Postgres(server, directory, password=PASSWORD), server.data_dir / "own")
    finally:
        server.stop()


@pytest.fixture(scope="session")
def logging_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logging]:
    with run_logging(tmp_path_factory.mktemp("logging"), log_statement="all") as running:
        yield running
