"""A real PostgreSQL for the whole run: SCRAM and md5 logins, with and without TLS."""

import datetime
import ipaddress
import itertools
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.embedded.postgres import (
    DATABASE,
    SUPERUSER,
    PostgresServer,
    PostgresSettings,
    find_unprivileged_user,
)
from deploy.embedded.process import LOOPBACK
from tests.support.ports import get_free_port

MD5_USER = "md5_user"
_names = itertools.count(1)


@dataclass(frozen=True)
class Postgres:
    """A running server. `ca_file` signed the certificate it shows to clients that ask for TLS."""

    server: PostgresServer
    ca_file: Path
    host: str = LOOPBACK
    user: str = SUPERUSER
    database: str = DATABASE
    md5_user: str = MD5_USER
    password: str = field(default="", repr=False)

    @property
    def port(self) -> int:
        return self.server.settings.port

    @property
    def dsn(self) -> str:
        """libpq URL of the superuser, without TLS."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}?sslmode=disable"

    def connect(self, **changes: object) -> psycopg.Connection:
        """A direct connection that commits each statement."""
        return psycopg.connect(self.dsn, autocommit=True, **changes)  # type: ignore[arg-type]

    def create_database(self) -> str:
        """An empty database of the test's own; its name."""
        name = f"test_{next(_names)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        return name


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The shared server: create a database of your own where others' tables would disturb."""
    with run_postgres(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@contextmanager
def run_postgres(directory: Path, binaries: Path | None = None) -> Iterator[Postgres]:
    """A server with a superuser (SCRAM) and `md5_user` (md5) of the same password, stopped at the end."""
    password = secrets.token_urlsafe(16)
    server = PostgresServer(
        PostgresSettings(
            directory / "postgres", get_free_port(), password, directory / "postgres.log", binaries=binaries
        )
    )
    try:
        server.start()
        running = Postgres(server, directory / "server.crt", password=password)
        _open_more_logins(running)
        yield running
    finally:
        server.stop()


def _open_more_logins(running: Postgres) -> None:
    data_dir = running.server.data_dir
    certificate, key = make_certificate()
    running.ca_file.write_bytes(certificate)
    # `md5` takes SCRAM too, whichever the stored password is.
    hba = "host all all all md5\nhost replication all all md5\n"
    for name, content in (("server.crt", certificate), ("server.key", key), ("pg_hba.conf", hba.encode())):
        path = data_dir / name
        path.write_bytes(content)
        path.chmod(0o600)
        if user := find_unprivileged_user():
            os.chown(path, *user)
    with running.connect() as connection:
        connection.execute("SET password_encryption = 'md5'")
        connection.execute(f"CREATE USER {MD5_USER} PASSWORD '{running.password}'")  # type: ignore[arg-type]
        connection.execute("ALTER SYSTEM SET ssl = on")
        connection.execute("SELECT pg_reload_conf()")


def make_certificate() -> tuple[bytes, bytes]:
    """A self-signed certificate for localhost and 127.0.0.1, and its key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private
