"""Vault's HTTP contract (its API reference: KV v2, database, auth/token, auth/kubernetes, auth/approle)."""

from pathlib import Path
from typing import Any

import pytest

from ingest.secrets.vault import VaultSource
from schemas.errors import ConfigError, Unreachable
from schemas.runtime import Home, write_private
from schemas.secret_references import parse_reference
from schemas.secrets_config import Vault
from tests.support.json_server import Asked, JsonServer

KV = parse_reference("vault:kv/app/db#password")
DB = parse_reference("vault-db:database/readonly")


def kv_answer(**data: Any) -> tuple[int, Any]:
    return 200, {"lease_id": "", "data": {"data": data, "metadata": {"version": 3}}}


@pytest.fixture
def home(bare_home: Home) -> Home:
    write_private(bare_home.secrets / "vault.token", b"hvs.first")
    write_private(bare_home.secrets / "vault.secret-id", b"the-secret-id")
    return bare_home


def source(server: JsonServer, home: Home, **settings: Any) -> VaultSource:
    return VaultSource(Vault.model_validate({"url": server.url, **settings}), home, 2.0)


def test_a_field_of_a_kv_secret(server: JsonServer, home: Home) -> None:
    server.answers["GET /v1/kv/data/app/db"] = kv_answer(password="pg-one", user="app")
    assert source(server, home, namespace="team-a").fetch(KV).value == "pg-one"
    (asked,) = server.asked
    assert (asked.headers["x-vault-token"], asked.headers["x-vault-namespace"]) == ("hvs.first", "team-a")


def test_a_login_of_the_database_engine_has_a_user_and_a_life(server: JsonServer, home: Home) -> None:
    server.answers["GET /v1/database/creds/readonly"] = (
        200, {"lease_id": "database/creds/readonly/x", "lease_duration": 3600,
              "data": {"username": "v-custody-1", "password": "made-1"}},
    )  # fmt: skip
    found = source(server, home).fetch(DB)
    assert (found.user, found.value, found.ttl_s) == ("v-custody-1", "made-1", 3600)


def test_a_token_that_was_replaced_is_read_again(server: JsonServer, home: Home) -> None:
    server.answers["GET /v1/kv/data/app/db"] = lambda asked: (
        kv_answer(password="pg") if asked.headers["x-vault-token"] == "hvs.second" else (403, {"errors": ["denied"]})
    )
    vault = source(server, home)
    with pytest.raises(ConfigError, match="permission denied"):
        vault.fetch(KV)
    write_private(home.secrets / "vault.token", b"hvs.second")
    assert vault.fetch(KV).value == "pg"


def test_kubernetes_login_is_kept_and_made_anew_when_refused(server: JsonServer, home: Home, tmp_path: Path) -> None:
    (tmp_path / "jwt").write_text("pod-jwt\n")
    valid = {"now": "t-1"}

    def login(asked: Asked) -> tuple[int, Any]:
        assert asked.json() == {"role": "custody", "jwt": "pod-jwt"}
        return 200, {"auth": {"client_token": valid["now"], "lease_duration": 3600}}

    server.answers["POST /v1/auth/kubernetes/login"] = login
    server.answers["GET /v1/kv/data/app/db"] = lambda asked: (
        kv_answer(password="pg") if asked.headers["x-vault-token"] == valid["now"] else (403, {"errors": []})
    )
    vault = source(server, home, auth="kubernetes", role="custody", jwt_file=str(tmp_path / "jwt"))
    for _ in range(3):
        assert vault.fetch(KV).value == "pg"
    assert [asked.method for asked in server.asked].count("POST") == 1
    valid["now"] = "t-2"
    assert vault.fetch(KV).value == "pg"
    assert [asked.method for asked in server.asked].count("POST") == 2


def test_a_login_is_made_anew_before_it_ends(server: JsonServer, home: Home) -> None:
    now = [0.0]
    server.answers["POST /v1/auth/role/login"] = (200, {"auth": {"client_token": "t", "lease_duration": 100}})
    server.answers["GET /v1/kv/data/app/db"] = kv_answer(password="pg")
    settings = Vault.model_validate({"url": server.url, "auth": "approle", "auth_mount": "role", "role": "r-1"})
    vault = VaultSource(settings, home, 2.0, lambda: now[0])
    vault.fetch(KV)
    now[0] = 69
    vault.fetch(KV)
    now[0] = 71
    vault.fetch(KV)
    logins = [asked.json() for asked in server.asked if asked.method == "POST"]
    assert logins == [{"role_id": "r-1", "secret_id": "the-secret-id"}] * 2


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((404, {"errors": []}), ConfigError, "no such secret"),
        ((403, {"errors": ["hvs.first is bad"]}), ConfigError, "permission denied"),
        ((400, {"errors": ["x"]}), ConfigError, "refused"),
        ((503, {"errors": ["sealed"]}), Unreachable, "503"),
        ((200, {"data": {"data": {"other": "x"}}}), ConfigError, "no text"),
        ((200, {"data": {"data": None}}), ConfigError, "no text"),
        ((200, {"data": None}), ConfigError, "no text"),
        ((200, b"<html>"), Unreachable, "JSON"),
    ],
)
def test_failures_say_whose_they_are_and_no_token(
    server: JsonServer, home: Home, answer: tuple[int, Any], error: type[Exception], words: str
) -> None:
    server.answers["GET /v1/kv/data/app/db"] = answer
    with pytest.raises(error, match=words) as caught:
        source(server, home).fetch(KV)
    assert "hvs." not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "error"), [(400, ConfigError), (403, ConfigError), (500, Unreachable), (200, ConfigError)]
)
def test_a_refused_login_is_said(server: JsonServer, home: Home, status: int, error: type[Exception]) -> None:
    server.answers["POST /v1/auth/approle/login"] = (status, {"errors": ["the-secret-id is wrong"]})
    with pytest.raises(error) as caught:
        source(server, home, auth="approle", role="r-1").fetch(KV)
    assert "the-secret-id" not in str(caught.value)


def test_a_vault_that_is_away_is_unreachable(home: Home) -> None:
    settings = Vault(url="http://127.0.0.1:1")
    with pytest.raises(Unreachable):
        VaultSource(settings, home, 1.0).fetch(KV)
