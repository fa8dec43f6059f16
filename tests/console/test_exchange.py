"""Credentials in the name of who is signed in, by the commands."""

import json
from datetime import timedelta

import pytest

from console.exchange import _read, issue_in_name
from console.remote import Login
from schemas.errors import ConfigError, Unreachable
from schemas.runtime import ENV_HOME, now_us
from tests.console.conftest import Run
from tests.support.api import Api, document_of
from tests.support.oidc_provider import OidcProvider


@pytest.fixture
def login(api: Api, provider: OidcProvider) -> Login:
    session = document_of(api.ask("POST", "/v1/sign-in", json={"id_token": provider.id_token()}))
    return Login(api.url, session["token"], session["principal"], session["expires_at"])


def test_the_grants_decide_for_whom_is_signed_in(login: Login) -> None:
    wanted = {"resources": ["demo-postgres"], "ttl": timedelta(minutes=5), "run_id": "run-1"}
    issued = issue_in_name(login, agent="notebook", **wanted)
    assert (issued.credential.principal, issued.credential.agent) == ("ann@example.com", "notebook")
    assert 0 < issued.credential.expires_at - now_us() <= 300_000_000
    with pytest.raises(ConfigError, match=r"no grant lets stranger act for ann@example\.com"):
        issue_in_name(login, agent="stranger", **wanted)


def test_the_commands_issue_in_your_name_once_you_are_signed_in(
    custody: Run, api: Api, provider: OidcProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENV_HOME, str(api.home.root))
    assert custody("login", "--api", api.url).code == 0
    try:
        answer = custody("agent", "credential", "--agent", "notebook", "--resource", "demo-postgres", "--ttl", "5m")
        assert answer.code == 0, answer.err
        refused = custody("agent", "credential", "--agent", "stranger", "--resource", "demo-postgres")
        assert refused.code == 2 and "no grant" in refused.err
        local = custody("agent", "credential", "--agent", "x", "--resource", "demo-http", "--principal", "ci@local")
        assert local.code == 0, local.err
    finally:
        assert custody("logout").code == 0
    rows = document_of(api.ask("GET", "/v1/credentials", "auditor"))["credentials"]
    principals = {row["id"]: row["principal"] for row in rows}
    assert principals[json.loads(answer.out)["id"]] == "ann@example.com"
    assert principals[json.loads(local.out)["id"]] == "ci@local"


@pytest.mark.parametrize("answer", [None, [], {}, {"credential_id": "x"}])
def test_another_answer_cannot_be_read(answer: object) -> None:
    with pytest.raises(Unreachable, match="cannot be read"):
        _read(answer)
