"""Upstreams' secrets out of a vault through running gateways: rotated without a restart, seen by nobody."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest

from ingest.secrets.encrypted_file import EncryptedFile
from schemas.keys import read_ring, rotate_file
from schemas.runtime import Home, write_private
from tests.ingest.test_postgres import url
from tests.support.homes import connect_home
from tests.support.json_server import Asked, JsonServer, run_json_server
from tests.support.kafka import Kafka
from tests.support.postgres import Postgres
from tests.support.proxies import Proxy, issue_credential, read_raw, run_proxy

KV_PATH = "GET /v1/kv/data/app/db"
CREDS_PATH = "GET /v1/database/creds/readonly"


@pytest.fixture
def vault() -> Iterator[JsonServer]:
    with run_json_server() as server:
        yield server


@pytest.fixture
def vault_home(bare_home: Home, kafka: Kafka, vault: JsonServer) -> Home:
    """Secrets are kept for an hour: only a refused login makes the proxies ask again."""
    write_private(bare_home.secrets / "vault.token", b"hvs.of-the-proxy")
    secrets = {"cache_s": 3600, "vault": {"url": vault.url}}
    connect_home(bare_home, kafka, ports={"http_proxy": 0}, secrets=secrets)
    return bare_home


def kv(value: str) -> tuple[int, Any]:
    return 200, {"data": {"data": {"password": value}}}


def register(proxy: Proxy, server: Postgres, name: str, **upstream: object) -> int:
    target = {"host": server.host, "port": server.port, "database": server.create_database(), **upstream}
    return proxy.register(name, "postgres", target).listen


def wait_for(is_so: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_password_rotated_in_the_vault_is_taken_up_by_the_next_login(
    vault_home: Home, vault: JsonServer, postgres_server: Postgres
) -> None:
    with postgres_server.connect() as admin:
        admin.execute("CREATE ROLE injected LOGIN SUPERUSER PASSWORD 'first-of-the-vault'")
        vault.answers[KV_PATH] = kv("first-of-the-vault")
        with run_proxy(vault_home) as proxy:
            port = register(proxy, postgres_server, "injected", user="injected", secret="vault:kv/app/db#password")
            login = issue_credential(proxy.home, proxy.writer, "injected-agent")
            for _ in range(2):
                with psycopg.connect(url(port, login)) as connection:
                    assert connection.execute("SELECT current_user").fetchone() == ("injected",)
            assert len(vault.asked) == 1
            admin.execute("ALTER ROLE injected PASSWORD 'second-of-the-vault'")
            vault.answers[KV_PATH] = kv("second-of-the-vault")
            time.sleep(1.1)  # within a second of reading it a refusal is not taken for a rotation
            with psycopg.connect(url(port, login)) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
            assert len(vault.asked) == 2
            vault.answers[KV_PATH] = (403, {"errors": ["denied"]})
            admin.execute("ALTER ROLE injected PASSWORD 'third'")
            time.sleep(1.1)
            with pytest.raises(psycopg.OperationalError) as caught:
                psycopg.connect(url(port, login))
            seen = f"{caught.value}{proxy.log.read_text()}{read_raw(vault_home)!r}"
        for secret in ("first-of-the-vault", "second-of-the-vault", "hvs.of-the-proxy"):
            assert secret not in seen


def test_a_password_of_the_encrypted_file_and_its_key_are_changed_while_the_proxy_runs(
    home: Home, postgres_server: Postgres
) -> None:
    file, key = EncryptedFile(home.root / "secrets.encrypted"), "file:secrets-file.key"
    write_private(home.secrets / "secrets-file.key", b"1" * 32)
    file.put(read_ring(home, key), "db", "first-of-the-file")
    with postgres_server.connect() as admin, run_proxy(home) as proxy:
        admin.execute("CREATE ROLE filed LOGIN PASSWORD 'first-of-the-file'")
        port = register(proxy, postgres_server, "filed", user="filed", secret="encrypted:db")
        login = issue_credential(proxy.home, proxy.writer, "filed-agent")
        for _ in range(2):
            with psycopg.connect(url(port, login)) as connection:
                assert connection.execute("SELECT current_user").fetchone() == ("filed",)
            admin.execute("ALTER ROLE filed PASSWORD 'second-of-the-file'")
            rotate_file(home, "secrets-file.key", lambda: b"2" * 32)
            file.put(read_ring(home, key), "db", "second-of-the-file")
            time.sleep(1.1)  # what is on this host is read again after a second
        raw = (home.root / "secrets.encrypted").read_bytes()
        (home.root / "secrets.encrypted").write_bytes(raw[:-1])
        time.sleep(1.1)
        with pytest.raises(psycopg.OperationalError) as caught:
            psycopg.connect(url(port, login))
        seen = f"{caught.value}{proxy.log.read_text()}{read_raw(home)!r}"
    assert "secrets.encrypted was altered or cut off" in str(caught.value)
    assert "-of-the-file" not in seen


def test_logins_of_the_database_engine_are_made_used_and_made_anew(
    vault_home: Home, vault: JsonServer, postgres_server: Postgres
) -> None:
    made: list[str] = []
    with postgres_server.connect() as admin:

        def make(asked: Asked) -> tuple[int, Any]:
            name = f"v-custody-{len(made)}"
            admin.execute(f"CREATE ROLE \"{name}\" LOGIN SUPERUSER PASSWORD 'made-{name}'")  # type: ignore[arg-type]
            made.append(name)
            return 200, {"lease_duration": 3, "data": {"username": name, "password": f"made-{name}"}}

        vault.answers[CREDS_PATH] = make
        with run_proxy(vault_home) as proxy:
            port = register(proxy, postgres_server, "leased", secret="vault-db:database/readonly")
            login = issue_credential(proxy.home, proxy.writer, "leased-agent")

            def user() -> str:
                with psycopg.connect(url(port, login)) as connection:
                    return str(connection.execute("SELECT current_user").fetchone()[0])  # type: ignore[index]

            assert user() == "v-custody-0"
            wait_for(lambda: user() == "v-custody-1")
            assert "made-v-custody" not in proxy.log.read_text() + repr(read_raw(vault_home))


def test_an_http_token_is_read_again_when_the_upstream_refuses_it(vault_home: Home, vault: JsonServer) -> None:
    def serve(asked: Asked) -> tuple[int, Any]:
        """An API that takes the token of the moment only."""
        return 200 if asked.headers["authorization"] == f"Bearer {valid[0]}" else 401, {}

    valid = ["token-one"]
    vault.answers[KV_PATH] = kv("token-one")
    with run_json_server() as api, run_proxy(vault_home, "ingest.http", "proxy-http") as proxy:
        api.answers["GET /orders"] = serve
        port = int(api.url.rpartition(":")[2])
        upstream: dict[str, object] = {"host": "127.0.0.1", "port": port, "secret": "vault:kv/app/db#password"}
        front = proxy.register("injected-http", "http", upstream)
        login = issue_credential(proxy.home, proxy.writer, "injected-http-agent")
        bearer = {"Authorization": f"Bearer {login.id}.{login.secret}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{front.listen}", headers=bearer, trust_env=False) as client:
            assert [client.get("/orders").status_code for _ in range(3)] == [200, 200, 200]
            assert len(vault.asked) == 1
            valid[0], vault.answers[KV_PATH] = "token-two", kv("token-two")
            time.sleep(1.1)  # within a second of reading it a refusal is not taken for a rotation
            assert [client.get("/orders").status_code for _ in range(3)] == [401, 200, 200]
        assert len(vault.asked) == 2
        assert not any(secret in proxy.log.read_text() for secret in ("token-one", "token-two", "hvs."))
