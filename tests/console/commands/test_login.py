"""`custody login`, `whoami`, `logout` against a running API and a real provider."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from schemas.runtime import Home
from tests.console.api.test_saml import Site, sign_in, site
from tests.console.conftest import Run
from tests.support.api import Api
from tests.support.oidc_provider import OidcProvider

__all__ = ["site"]


def test_sign_in_who_am_i_sign_out(custody: Run, api: Api, provider: OidcProvider, bare_home: Home) -> None:
    provider.device_answers[:] = ["authorization_pending"]
    answer = custody("login", "--api", api.url)
    assert answer.code == 0, answer.err
    lines = answer.out.splitlines()
    assert lines[0] == f"open {provider.issuer}/activate" and "ABCD-EFGH" in lines[1]
    assert lines[2].startswith("signed in as ann@example.com (auditor) until ")
    known = json.loads((bare_home.root / "login.json").read_text())
    assert known["token"] not in answer.out
    assert "ann@example.com (auditor), by session" in custody("whoami").out
    told = json.loads(custody("whoami", "--json").out)
    assert told["groups"] == ["security", "developers"]
    assert custody("logout").out == "ann@example.com is signed out\n"
    assert not (bare_home.root / "login.json").exists()
    assert api.ask("GET", "/v1/whoami", token=known["token"]).status_code == 401
    assert custody("logout").out == "nobody is signed in\n"


def test_without_a_login_you_are_who_the_host_says(custody: Run, bare_home: Home) -> None:
    told = json.loads(custody("whoami", "--json").out)
    assert told["principal"].endswith("@local") and told["roles"] == []


def test_a_denied_sign_in_leaves_nothing(custody: Run, api: Api, provider: OidcProvider, bare_home: Home) -> None:
    provider.device_answers[:] = ["access_denied"]
    answer = custody("login", "--api", api.url)
    assert answer.code == 2 and "denied" in answer.err
    assert not (bare_home.root / "login.json").exists()


@pytest.mark.parametrize("change", [{"aud": "other"}, {"exp": 1}])
def test_a_token_the_api_does_not_take_leaves_nothing(
    custody: Run, api: Api, provider: OidcProvider, bare_home: Home, change: dict[str, object]
) -> None:
    provider.forge = lambda header, claims: provider.sign(claims | change)
    answer = custody("login", "--api", api.url)
    assert answer.code == 2 and "not accepted" in answer.err
    assert not (bare_home.root / "login.json").exists()


def test_a_session_that_is_over_is_said(custody: Run, api: Api, provider: OidcProvider, bare_home: Home) -> None:
    custody("login", "--api", api.url)
    token = json.loads((bare_home.root / "login.json").read_text())["token"]
    api.ask("DELETE", "/v1/sign-in", token=token)
    answer = custody("whoami")
    assert answer.code == 2 and "custody login" in answer.err
    assert custody("logout").code == 0


def test_no_api_no_login(custody: Run, bare_home: Home) -> None:
    answer = custody("login", "--api", "http://127.0.0.1:1")
    assert answer.code == 2 and "does not answer" in answer.err


def test_where_people_come_by_saml_a_browser_signs_the_command_in(custody: Run, site: Site, bare_home: Home) -> None:
    command = [str(Path(sys.executable).with_name("custody")), "login", "--api", site.api.url]
    with (
        httpx.Client(base_url=site.api.url, trust_env=False, headers={"Origin": site.api.url}) as browser,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running,
    ):
        sign_in(site, browser)
        assert running.stdout is not None
        assert running.stdout.readline() == f"open {site.api.url}/device\n"
        code = running.stdout.readline().removeprefix("and enter the code ").strip()
        assert browser.post("/device", data={"user_code": code}).status_code == 200
        assert running.stdout.read().startswith("signed in as ann@example.com (auditor) until ")
    assert running.returncode == 0
    assert "ann@example.com (auditor), by session" in custody("whoami").out
