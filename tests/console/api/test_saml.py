"""Signing in with a browser at a SAML provider, at a running API, and what another site can make of it."""

import shutil
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from console.api.people import Proof
from console.api.saml import MAX_FORM_BYTES, MAX_WAITING, WAITS_S, Waiting
from console.api.sign_in import Attempts
from console.exchange import ACCESS_TOKEN, GRANT_TYPE
from console.oidc.errors import TokenRefused
from console.oidc.people import Person
from schemas.runtime import Home
from tests.support.api import Api, document_of, run_api
from tests.support.homes import connect_home
from tests.support.kafka import Kafka
from tests.support.saml_provider import SamlIdp, read_request


@dataclass
class Site:
    """A running API and its provider."""

    api: Api
    idp: SamlIdp

    @property
    def acs(self) -> str:
        return f"{self.api.url}/saml/acs"

    def answer(self, browser: httpx.Client, goes_to: str = "/", **values: Any) -> dict[str, str]:
        """The form that the provider makes the browser post, after /login."""
        sent = browser.get("/saml/login", params={"next": goes_to})
        request, state = read_request(sent.headers["Location"])
        return self.form(request.get("ID"), state, **values)

    def form(self, request_id: str, state: str, **values: Any) -> dict[str, str]:
        raw = self.idp.respond(request_id, self.acs, **values)
        return {"SAMLResponse": b64encode(raw).decode(), "RelayState": state}


def sign_in(site: Site, browser: httpx.Client, goes_to: str = "/", **values: Any) -> httpx.Response:
    """All the way. The form is posted as from the provider's site: without cookies."""
    form = site.answer(browser, goes_to, **values)
    return browser.get(post(site, form).headers["Location"])


def post(site: Site, form: dict[str, str]) -> httpx.Response:
    return httpx.post(site.acs, data=form, trust_env=False)


@pytest.fixture(scope="module")
def site(secrets_home: Home, kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("saml")
    home, idp = Home(folder / "home"), SamlIdp()
    shutil.copytree(secrets_home.root, home.root)
    grants = [{"agent": "notebook", "groups": ["developers"], "resources": ["demo-*"]}]
    connect_home(home, kafka, ports={"api": 0}, identity={"saml": idp.settings(folder), "grants": grants})
    with run_api(home) as api:
        yield Site(api, idp)


@pytest.fixture
def browser(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.api.url, trust_env=False) as client:
        yield client


def test_a_person_signs_in_acts_and_signs_out(site: Site, browser: httpx.Client) -> None:
    back = sign_in(site, browser, "/sessions?x=1")
    assert (back.status_code, back.headers["Location"]) == (302, "/sessions?x=1")
    who = browser.get("/v1/whoami").json()
    assert (who["principal"], who["roles"], who["via"]) == ("ann@example.com", ["auditor"], "session")
    assert who["groups"] == ["security", "developers"]
    form = {"grant_type": GRANT_TYPE, "subject_token_type": ACCESS_TOKEN, "agent": "notebook"}
    token = browser.cookies["custody_session"]
    assert document_of(browser.post("/token", data={**form, "subject_token": token}))["principal"] == "ann@example.com"
    assert browser.delete("/v1/sign-in", headers={"Origin": site.api.url}).status_code == 204
    assert browser.get("/v1/whoami").status_code == 401
    context, events = site.api.recorded("sign_in.saml")[-1]
    assert context.principal == "ann@example.com" and events[1].attributes["roles"] == "auditor"


def test_cookies_are_for_this_site_and_no_script(site: Site, browser: httpx.Client) -> None:
    sent = browser.get("/login")
    cookie = sent.headers["Set-Cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=lax", "Path=/saml/done")) and sent.status_code == 302
    signed = sign_in(site, browser).headers["Set-Cookie"]
    assert all(word in signed for word in ("custody_session=", "HttpOnly", "SameSite=lax"))


def test_metadata_and_the_other_ways_to_sign_in(site: Site, browser: httpx.Client) -> None:
    described = browser.get("/saml/metadata")
    assert described.headers["Content-Type"] == "application/samlmetadata+xml" and site.acs in described.text
    assert browser.get("/v1/sign-in").json()["device"] == "/v1/sign-in/device"
    refused = browser.post("/v1/sign-in", json={"id_token": "x"})
    assert refused.status_code == 404 and "browser, at /login" in refused.json()["detail"]


def test_a_response_counts_once(site: Site, browser: httpx.Client) -> None:
    """Neither the form again, nor the ticket again, nor the assertion under another sign-in."""
    form = site.answer(browser, id="_shown-twice")
    ticket = post(site, form).headers["Location"]
    assert browser.get(ticket).status_code == 302
    assert "not under way" in browser.get(ticket).json()["detail"]
    assert "not under way" in post(site, form).json()["detail"]
    again = sign_in(site, browser, id="_shown-twice")
    assert again.status_code == 401 and "before" in again.json()["detail"]


def test_a_response_in_another_browser_signs_nobody_in(site: Site, browser: httpx.Client) -> None:
    """An attacker's response, posted by a victim's browser, would sign the victim in as the attacker."""
    form = site.answer(browser)
    with httpx.Client(base_url=site.api.url, trust_env=False) as victim:
        site.answer(victim)
        refused = victim.get(post(site, form).headers["Location"])
        assert refused.status_code == 401 and "another browser" in refused.json()["detail"]
        assert victim.get("/v1/whoami").status_code == 401


def test_a_response_nobody_asked_for_is_refused(site: Site, browser: httpx.Client) -> None:
    for state in ("", "guess"):
        assert post(site, site.form("_guess", state)).status_code == 401
    with httpx.Client(base_url=site.api.url, trust_env=False) as other:
        stolen = site.answer(other)
    mine = site.answer(browser)
    refused = post(site, mine | {"SAMLResponse": stolen["SAMLResponse"]})
    assert refused.status_code == 401 and "InResponseTo" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sign": ()}, "signed"),
        ({"audience": "https://other.example"}, "audience"),
        ({"recipient": "https://other.example"}, "Recipient"),
        ({"until": -60}, "expired"),
        ({"method": "RSA_SHA1"}, "does not verify"),
    ],
    ids=str,
)  # fmt: skip
def test_what_proves_nothing_signs_nobody_in_and_is_recorded(
    site: Site, browser: httpx.Client, values: dict[str, Any], words: str
) -> None:
    refused = post(site, site.answer(browser, **values))
    assert refused.status_code == 401 and words in refused.json()["detail"]
    site.api.ask("GET", "/v1/resources", "auditor")  # durable, so that what came before is too
    assert any(event.verdict == "deny" for _, events in site.api.recorded("sign_in.saml") for event in events)


def test_senseless_and_large_forms_are_refused(site: Site, browser: httpx.Client) -> None:
    form = site.answer(browser)
    assert post(site, form | {"Surplus": "x"}).status_code == 401
    assert post(site, site.answer(browser) | {"SAMLResponse": "not base64!"}).status_code == 401
    assert post(site, {"SAMLResponse": "x" * MAX_FORM_BYTES}).status_code == 413
    assert httpx.post(site.acs, json={}, trust_env=False).status_code == 415
    assert httpx.get(site.acs, trust_env=False).status_code == 405
    assert browser.get("/saml/done").status_code == 401


def test_tickets_are_few_and_short_lived() -> None:
    now = [0.0]
    waiting, attempts = Waiting(lambda: now[0]), Attempts()
    proof = Proof(Person("ann@example.com", (), "ann"), "t", 1)
    first = waiting.put(proof, attempts.begin("/"))
    assert waiting.take(first)[0] is proof
    tickets = [waiting.put(proof, attempts.begin("/")) for _ in range(MAX_WAITING + 1)]
    with pytest.raises(TokenRefused):
        waiting.take(tickets[0])
    now[0] = WAITS_S + 1
    with pytest.raises(TokenRefused):
        waiting.take(tickets[-1])
