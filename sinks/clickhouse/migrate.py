"""Applies the numbered DDL files with the `schema` login; what was applied is remembered in custody.migrations.

A file that was applied may not change: its digest is compared. Every statement is idempotent (IF NOT EXISTS), so a
run that was cut off is simply repeated.
"""

import hashlib
import logging
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from schemas.config import find_settings
from schemas.errors import ConfigError, CustodyError
from schemas.runtime import Home, find_home
from schemas.wire.log_filter import scrub, set_up_logging

DDL: Final = Path(__file__).with_name("ddl")
_FILE: Final = re.compile(r"(\d{3})_[a-z_]+\.sql")
_COMMENT: Final = re.compile(r"^\s*--.*$", re.MULTILINE)
CREATE_DATABASE: Final = "CREATE DATABASE IF NOT EXISTS custody"
CREATE_MIGRATIONS: Final = """
CREATE TABLE IF NOT EXISTS custody.migrations
(
    number     UInt32 COMMENT 'Number of the file',
    name       String COMMENT 'Name of the file',
    digest     String COMMENT 'SHA-256 of its text, hexadecimal',
    applied_at DateTime64(6, 'UTC') DEFAULT now64(6) COMMENT 'When it was applied'
)
ENGINE = MergeTree
ORDER BY number
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'DDL files that were applied'
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One DDL file."""

    number: int
    name: str
    text: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self) -> Iterator[str]:
        """Its statements, which end with a semicolon at the end of a line."""
        for part in re.split(r";[ \t]*(?:\n|$)", _COMMENT.sub("", self.text)):
            if part.strip():
                yield part.strip()


def read_migrations(directory: Path = DDL) -> list[Migration]:
    """The files in order. Raises ConfigError on a stray name, a number twice or a missing one."""
    found: list[Migration] = []
    for path in sorted(directory.glob("*.sql")):
        match = _FILE.fullmatch(path.name)
        if match is None or int(match.group(1)) != len(found) + 1:
            raise ConfigError(f"{path.name}: DDL files are numbered 001_name.sql, 002_name.sql, … without holes")
        found.append(Migration(int(match.group(1)), path.name, path.read_text("utf-8")))
    return found


def migrate(client: Client, directory: Path = DDL) -> list[str]:
    """Bring the store up to date; returns the names of the files applied now.

    Raises ConfigError when an applied file has changed, and clickhouse-connect's errors when the store refuses.
    """
    client.command(CREATE_DATABASE)
    client.command(CREATE_MIGRATIONS)
    rows = client.query("SELECT number, digest FROM custody.migrations").result_rows
    applied = {int(number): str(digest) for number, digest in rows}
    done: list[str] = []
    for migration in read_migrations(directory):
        if migration.number in applied:
            _check_unchanged(migration, applied[migration.number])
            continue
        for statement in migration.statements():
            client.command(statement)
        row = [migration.number, migration.name, migration.digest]
        client.insert("migrations", [row], column_names=["number", "name", "digest"], database="custody")
        done.append(migration.name)
    return done


def _check_unchanged(migration: Migration, digest: str) -> None:
    if migration.digest != digest:
        raise ConfigError(f"{migration.name} was applied with other text: add a new file instead")


def main() -> int:
    """`python -m sinks.clickhouse.migrate`: the store of $CUSTODY_HOME brought up to date. Exit code 2 when not."""
    set_up_logging(logging.WARNING)
    home = Home(find_home())
    try:
        address = urlsplit(find_settings(home).store_url())
        client = clickhouse_connect.get_client(
            host=address.hostname or "",
            port=address.port or 0,
            secure=address.scheme == "https",
            username="schema",
            password=home.read_secret("store/schema.password"),
            autogenerate_session_id=False,
        )
        try:
            migrate(client)
        finally:
            client.close()
    except (CustodyError, ClickHouseError) as error:
        print(scrub(str(error).splitlines()[0][:500]), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
