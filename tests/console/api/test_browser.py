"""Signing in with a browser, and what another site can make of it."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.support.api import Api
from tests.support.oidc_provider import CLIENT, OidcProvider


@pytest.fixture
def browser(api: Api) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api.url, trust_env=False, verify=False) as client:
        yield client


def to_provider(browser: httpx.Client, goes_to: str = "/") -> httpx.Response:
    """The provider's answer to what /login sends the browser to."""
    sent = browser.get("/login", params={"next": goes_to})
    assert sent.status_code == 302
    return httpx.get(sent.headers["Location"], trust_env=False)


def sign_in(browser: httpx.Client, goes_to: str = "/") -> httpx.Response:
    return browser.get(to_provider(browser, goes_to).headers["Location"])


def test_a_person_signs_in_acts_and_signs_out(api: Api, provider: OidcProvider, browser: httpx.Client) -> None:
    back = sign_in(browser, "/sessions?x=1")
    assert (back.status_code, back.headers["Location"]) == (302, "/sessions?x=1")
    who = browser.get("/v1/whoami").json()
    assert (who["principal"], who["roles"], who["via"]) == ("ann@example.com", ["auditor"], "session")
    assert who["groups"] == ["security", "developers"]
    assert browser.get("/v1/sessions").status_code == 200
    assert browser.get("/v1/health").status_code == 200
    assert browser.request("DELETE", "/v1/resources/x").status_code == 403
    assert browser.delete("/v1/sign-in", headers={"Origin": api.url}).status_code == 204
    assert browser.get("/v1/whoami").status_code == 401
    reads = [context for context, _ in api.recorded("sessions.list") if context.principal == "ann@example.com"]
    assert reads


def test_cookies_are_for_this_site_and_no_script(provider: OidcProvider, browser: httpx.Client) -> None:
    sent = browser.get("/login")
    assert "HttpOnly" in sent.headers["Set-Cookie"] and "Path=/callback" in sent.headers["Set-Cookie"]
    answered = browser.get(httpx.get(sent.headers["Location"], trust_env=False).headers["Location"])
    cookie = next(each for each in answered.headers.get_list("set-cookie") if each.startswith("custody_session="))
    assert all(word in cookie for word in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=43200"))


def test_the_request_to_the_provider_has_pkce_state_and_nonce(provider: OidcProvider, browser: httpx.Client) -> None:
    query = parse_qs(urlsplit(browser.get("/login").headers["Location"]).query)
    assert query["response_type"] == ["code"] and query["client_id"] == [CLIENT]
    assert query["code_challenge_method"] == ["S256"] and len(query["code_challenge"][0]) == 43
    assert len(query["state"][0]) >= 43 and len(query["nonce"][0]) >= 43


def test_a_sign_in_and_a_failed_one_are_on_the_record(api: Api, provider: OidcProvider, browser: httpx.Client) -> None:
    sign_in(browser)
    api.ask("GET", "/v1/detections", "auditor")
    assert "ann@example.com" in [context.principal for context, _ in api.recorded("sign_in.browser")]
    deadline = time.monotonic() + 90  # other tests may have used up the refusals that are recorded in a minute
    while not any(event.verdict == "deny" for _, events in api.recorded("sign_in.browser") for event in events):
        assert time.monotonic() < deadline
        browser.get("/callback?code=x&state=y")
        time.sleep(1)


def test_an_answer_counts_once(provider: OidcProvider, browser: httpx.Client) -> None:
    address = to_provider(browser).headers["Location"]
    assert browser.get(address).status_code == 302
    again = browser.get(address)
    assert again.status_code == 401 and "not under way" in again.json()["detail"]


def test_an_answer_in_another_browser_signs_nobody_in(api: Api, provider: OidcProvider, browser: httpx.Client) -> None:
    """An attacker's answer, put under a victim's eyes, would sign the victim in as the attacker."""
    address = to_provider(browser).headers["Location"]
    with httpx.Client(base_url=api.url, trust_env=False, verify=False) as victim:
        assert victim.get(address).status_code == 401
        to_provider(victim)
        assert victim.get(address).status_code == 401
        assert victim.get("/v1/whoami").status_code == 401


def test_the_nonce_ties_the_token_to_this_sign_in(provider: OidcProvider, browser: httpx.Client) -> None:
    provider.forge = lambda header, claims: provider.sign(claims | {"nonce": "of another sign-in"})
    answer = sign_in(browser)
    assert answer.status_code == 401 and "nonce" in answer.json()["detail"]


@pytest.mark.parametrize(
    "change",
    [{"aud": "other"}, {"iss": "https://evil.example"}, {"exp": 1}, {"sub": ""}, {"email_verified": False}],
    ids=str,
)
def test_a_token_that_breaks_a_rule_signs_nobody_in(
    provider: OidcProvider, browser: httpx.Client, change: dict[str, Any]
) -> None:
    provider.forge = lambda header, claims: provider.sign(claims | change)
    assert sign_in(browser).status_code == 401
    assert browser.get("/v1/whoami").status_code == 401


def test_an_answer_of_another_issuer_is_refused(provider: OidcProvider, browser: httpx.Client) -> None:
    address = to_provider(browser).headers["Location"]
    mixed = address.replace("iss=http", "iss=https", 1)
    assert mixed != address
    assert browser.get(mixed).status_code == 401


@pytest.mark.parametrize(
    "query",
    ["", "code=x", "state=y", "code=x&code=y&state=z", "code=" + "x" * 5000, "error=access_denied&state=y"],
)
def test_any_other_answer_is_a_clear_refusal(browser: httpx.Client, query: str) -> None:
    answer = browser.get(f"/callback?{query}")
    assert answer.status_code == 401 and answer.headers["Content-Type"] == "application/problem+json"


def test_a_sign_in_leads_to_no_other_site(provider: OidcProvider, browser: httpx.Client) -> None:
    assert sign_in(browser, "https://evil.example/").headers["Location"] == "/"


def test_another_site_cannot_act_with_the_cookie(api: Api, provider: OidcProvider, browser: httpx.Client) -> None:
    sign_in(browser)
    for headers in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": api.url + ".evil.example"}):
        assert browser.delete("/v1/sign-in", headers=headers).status_code == 403
        asked = browser.post("/v1/query", json={"sql": "SELECT 1"}, headers=headers)
        assert asked.status_code == 403
    asked = browser.post("/v1/query", json={"sql": "SELECT 1"}, headers={"Origin": api.url})
    assert asked.status_code == 200
