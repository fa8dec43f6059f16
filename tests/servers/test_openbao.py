"""Upstreams' secrets out of a real OpenBao: KV, the database engine over a real PostgreSQL, logins, namespaces."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ingest.secrets.vault import VaultSource
from schemas.errors import ConfigError, Unreachable
from schemas.runtime import Home, write_private
from schemas.secret_references import Reference, parse_reference
from schemas.secrets_config import Vault
from tests.ingest.test_injection import register
from tests.ingest.test_postgres import url
from tests.servers.openbao_server import OpenBao, run_server
from tests.support.homes import connect_home
from tests.support.kafka import Kafka
from tests.support.postgres import Postgres
from tests.support.proxies import issue_credential, read_raw, run_proxy

pytestmark = pytest.mark.servers

KV, DB = parse_reference("vault:secret/app/db#password"), parse_reference("vault-db:database/readonly")
POLICY = 'path "secret/data/app/*" { capabilities = ["read"] } path "database/creds/*" { capabilities = ["read"] }'
CREATE = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"
DROP = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{name}}'; DROP ROLE \"{{name}}\""


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with run_server(tmp_path_factory.mktemp("bao")) as running:
        running.ask("PUT", "sys/policies/acl/proxy", {"policy": POLICY})
        running.ask("POST", "sys/auth/approle", {"type": "approle"})
        role = {"token_policies": "proxy", "token_ttl": "1h", "token_max_ttl": "2h"}
        running.ask("POST", "auth/approle/role/proxy", role)
        yield running


@pytest.fixture(scope="module")
def database(bao: OpenBao, postgres_server: Postgres) -> OpenBao:
    """The database engine, with a role that makes logins of a minute."""
    at = f"{postgres_server.host}:{postgres_server.port}/{postgres_server.database}?sslmode=disable"
    config = {
        "plugin_name": "postgresql-database-plugin", "allowed_roles": "readonly",
        "connection_url": f"postgresql://{{{{username}}}}:{{{{password}}}}@{at}",
        "username": postgres_server.user, "password": postgres_server.password,
    }  # fmt: skip
    role = {"db_name": "orders", "creation_statements": [CREATE], "revocation_statements": [DROP], "default_ttl": "60s"}
    bao.ask("POST", "sys/mounts/database", {"type": "database"})
    bao.ask("POST", "database/config/orders", config)
    bao.ask("POST", "database/roles/readonly", role)
    return bao


def put(bao: OpenBao, value: str, path: str = "secret/data/app/db", **where: str) -> None:
    bao.ask("POST", path, {"data": {"password": value}}, **where)


def token_of(bao: OpenBao, home: Home) -> str:
    """A token that may what the policy says, in the file where the proxy looks."""
    token = str(bao.ask("POST", "auth/token/create", {"policies": ["proxy"], "ttl": "1h"})["auth"]["client_token"])
    write_private(home.secrets / "vault.token", token.encode())
    return token


def source(bao: OpenBao, home: Home, **settings: Any) -> VaultSource:
    return VaultSource(Vault.model_validate({"url": bao.url, "ca_file": str(bao.ca_file), **settings}), home, 10.0)


def approle(bao: OpenBao, home: Home) -> VaultSource:
    role_id = bao.ask("GET", "auth/approle/role/proxy/role-id")["data"]["role_id"]
    secret_id = bao.ask("POST", "auth/approle/role/proxy/secret-id")["data"]["secret_id"]
    write_private(home.secrets / "vault.secret-id", secret_id.encode())
    return source(bao, home, auth="approle", role=role_id)


def test_the_newest_version_of_a_kv_secret(bao: OpenBao, bare_home: Home) -> None:
    token_of(bao, bare_home)
    vault = source(bao, bare_home)
    for value in ("one", "two"):
        put(bao, value)
        assert vault.fetch(KV).value == value
    with pytest.raises(ConfigError, match="no text 'other'"):
        vault.fetch(Reference("vault:secret/app/db#other", "vault", "secret/app/db", "other"))


@pytest.mark.parametrize(
    ("text", "words"),
    [("vault:secret/app/none#password", "no such secret"), ("vault:secret/other/db#password", "permission denied"),
     ("vault:nowhere/app/db#password", "permission denied")],
)  # fmt: skip
def test_what_is_not_there_or_not_allowed_is_said(bao: OpenBao, bare_home: Home, text: str, words: str) -> None:
    token_of(bao, bare_home)
    with pytest.raises(ConfigError, match=words):
        source(bao, bare_home).fetch(parse_reference(text))


def test_a_deleted_secret_is_gone(bao: OpenBao, bare_home: Home) -> None:
    token_of(bao, bare_home)
    put(bao, "one", "secret/data/app/gone")
    gone = parse_reference("vault:secret/app/gone#password")
    assert source(bao, bare_home).fetch(gone).value == "one"
    bao.ask("DELETE", "secret/data/app/gone")
    with pytest.raises(ConfigError, match="no such secret"):
        source(bao, bare_home).fetch(gone)


def test_a_revoked_token_is_replaced_by_the_next_in_its_file(bao: OpenBao, bare_home: Home) -> None:
    token, vault = token_of(bao, bare_home), source(bao, bare_home)
    put(bao, "one")
    assert vault.fetch(KV).value == "one"
    bao.ask("POST", "auth/token/revoke", {"token": token})
    with pytest.raises(ConfigError, match="permission denied"):
        vault.fetch(KV)
    token_of(bao, bare_home)
    assert vault.fetch(KV).value == "one"


def test_an_approle_logs_in_again_when_its_token_is_revoked(bao: OpenBao, bare_home: Home) -> None:
    put(bao, "one")
    vault = approle(bao, bare_home)
    assert vault.fetch(KV).value == "one"
    bao.ask("POST", "auth/token/revoke", {"token": vault._token})
    assert vault.fetch(KV).value == "one"
    bao.ask("POST", "auth/token/revoke", {"token": vault._token})
    write_private(bare_home.secrets / "vault.secret-id", b"of-nobody")
    with pytest.raises(ConfigError, match="refuses the login by approle"):
        vault.fetch(KV)


def test_a_namespace_has_secrets_of_its_own(bao: OpenBao, bare_home: Home) -> None:
    put(bao, "of the root")
    bao.ask("POST", "sys/namespaces/team-a")
    bao.ask("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}}, namespace="team-a")
    bao.ask("PUT", "sys/policies/acl/proxy", {"policy": POLICY}, namespace="team-a")
    for _ in range(50):  # a new KV store takes a moment to be of version 2
        try:
            put(bao, "of the team", namespace="team-a")
            break
        except AssertionError:
            time.sleep(0.2)
    body = {"policies": ["proxy"], "ttl": "1h"}
    token = bao.ask("POST", "auth/token/create", body, namespace="team-a")["auth"]["client_token"]
    write_private(bare_home.secrets / "vault.token", token.encode())
    assert source(bao, bare_home, namespace="team-a").fetch(KV).value == "of the team"
    with pytest.raises(ConfigError, match="permission denied"):
        source(bao, bare_home).fetch(KV)


def test_who_is_not_the_server_is_told_nothing(bao: OpenBao, bare_home: Home, tmp_path: Path) -> None:
    token_of(bao, bare_home)
    with pytest.raises(Unreachable):
        source(bao, bare_home, ca_file="").fetch(KV)


def test_a_login_of_the_database_engine_is_one_and_ends(
    database: OpenBao, bare_home: Home, postgres_server: Postgres
) -> None:
    found = approle(database, bare_home).fetch(DB)
    assert found.user.startswith("v-") and 0 < found.ttl_s <= 60
    at = {"host": postgres_server.host, "port": postgres_server.port, "dbname": postgres_server.database}
    with psycopg.connect(**at, user=found.user, password=found.value, sslmode="disable") as connection:
        assert connection.execute("SELECT current_user").fetchone() == (found.user,)
    database.ask("PUT", "sys/leases/revoke-prefix/database/creds/readonly")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(**at, user=found.user, password=found.value, sslmode="disable")


def test_a_proxy_logs_in_with_it_and_takes_another_when_it_was_revoked(
    database: OpenBao, bare_home: Home, kafka: Kafka, postgres_server: Postgres
) -> None:
    token = token_of(database, bare_home)
    vault = {"url": database.url, "ca_file": str(database.ca_file)}
    connect_home(bare_home, kafka, ports={"http_proxy": 0}, secrets={"cache_s": 3600, "vault": vault})
    users = []
    with run_proxy(bare_home) as proxy:
        port = register(proxy, postgres_server, "bao-orders", secret=DB.text)
        login = issue_credential(proxy.home, proxy.writer, "bao-agent")
        for _ in range(2):
            with psycopg.connect(url(port, login)) as connection:
                users.append(connection.execute("SELECT current_user").fetchone())
        database.ask("PUT", "sys/leases/revoke-prefix/database/creds/readonly")
        time.sleep(1.1)  # within a second of reading it a refusal is not taken for a rotation
        with psycopg.connect(url(port, login)) as connection:
            users.append(connection.execute("SELECT current_user").fetchone())
        seen = f"{proxy.log.read_text()}{read_raw(bare_home)!r}"
    assert users[0] == users[1] != users[2]
    assert token not in seen
