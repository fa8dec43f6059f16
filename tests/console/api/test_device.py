"""A command that is signed in by a browser, at a running API whose people come by SAML."""

import re
import threading
from collections.abc import Iterator

import httpx
import pytest

from console.api.caller import Caller
from console.api.device import LASTS_S, MAX_GUESSES, MAX_WAITING, Devices
from console.oidc.errors import TokenRefused
from tests.console.api.test_saml import Site, sign_in, site
from tests.support.api import document_of

__all__ = ["site"]
ANN = Caller("ann@example.com", token="t")
PAGE, START, CLAIM = "/device", "/v1/sign-in/device", "/v1/sign-in/device/token"


@pytest.fixture
def browser(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.api.url, trust_env=False, headers={"Origin": site.api.url}) as client:
        yield client


def claim(site: Site, begun: dict[str, object]) -> httpx.Response:
    return httpx.post(site.api.url + CLAIM, json={"device_code": begun["device_code"]}, trust_env=False)


def begin(site: Site) -> dict[str, object]:
    return document_of(httpx.post(site.api.url + START, trust_env=False))


def test_a_command_gets_a_session_of_who_enters_its_code_once(site: Site, browser: httpx.Client) -> None:
    begun = begin(site)
    assert begun["verification_uri"] == site.api.url + PAGE
    assert browser.get(PAGE).headers["Location"] == "/login?next=/device"
    assert sign_in(site, browser, PAGE).headers["Location"] == PAGE
    shown = browser.get(PAGE)
    assert "ann@example.com" in shown.text and str(begun["user_code"]) not in shown.text
    assert "frame-ancestors 'none'" in shown.headers["Content-Security-Policy"]
    pending = claim(site, begun)
    assert (pending.status_code, pending.json()["type"]) == (400, "urn:custody:problem:authorization_pending")
    agreed = browser.post(PAGE, data={"user_code": str(begun["user_code"]).lower().replace("-", " ")})
    assert agreed.status_code == 200 and "127.0.0.1" in agreed.text
    found = claim(site, begun)
    assert found.status_code == 201
    session = found.json()
    assert (session["principal"], session["roles"]) == ("ann@example.com", ["auditor"])
    assert session["token"] != browser.cookies["custody_session"]
    assert document_of(site.api.ask("GET", "/v1/whoami", token=session["token"]))["principal"] == "ann@example.com"
    assert claim(site, begun).status_code == 401
    assert browser.post(PAGE, data={"user_code": begun["user_code"]}).status_code == 401
    told = [(context.principal, event) for context, events in site.api.recorded("sign_in.device") for event in events]
    assert any(event.attributes.get("via") == "device" and name == "ann@example.com" for name, event in told)
    assert any(event.verdict == "deny" for _, event in told)


def test_nobody_else_and_no_other_site_agrees(site: Site, browser: httpx.Client) -> None:
    begun = begin(site)
    answer = {"user_code": str(begun["user_code"])}
    assert browser.post(PAGE, data=answer).status_code == 401
    sign_in(site, browser)
    assert browser.post(PAGE, data=answer, headers={"Origin": "https://evil.example"}).status_code == 403
    assert browser.post(PAGE, json=answer).status_code == 415
    assert browser.post(PAGE, data={"user_code": "BBBB-BBBB"}).status_code == 401
    assert claim(site, begun).status_code == 400
    browser.post(PAGE, data=answer)
    browser.delete("/v1/sign-in")
    over = claim(site, begun)
    assert over.status_code == 401 and "browser's session is over" in over.json()["detail"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"device_code": 1}', b"[" * 4000, b"\xff"], ids=repr)
def test_senseless_claims_are_refused(site: Site, content: bytes) -> None:
    assert httpx.post(site.api.url + CLAIM, content=content, trust_env=False).status_code == 400


def test_codes_are_few_short_lived_and_not_to_be_guessed() -> None:
    now = [0.0]
    devices = Devices(lambda: now[0])
    first = devices.begin("127.0.0.1")
    assert re.fullmatch(r"[B-Z]{4}-[B-Z]{4}", first.user_code)
    for _ in range(MAX_GUESSES):
        with pytest.raises(TokenRefused, match="no command waits"):
            devices.agree("", ANN)
    with pytest.raises(TokenRefused, match="too many"):
        devices.agree(first.user_code, ANN)
    assert devices.claim(first.device_code) is None
    devices.agree(first.user_code, Caller("bob@example.com"))
    now[0] = LASTS_S + 1
    with pytest.raises(TokenRefused, match="took too long"):
        devices.claim(first.device_code)
    second = devices.begin("127.0.0.1")
    devices.agree(second.user_code, ANN)  # guesses are forgotten in time
    for _ in range(MAX_WAITING):
        devices.begin("127.0.0.1")
    with pytest.raises(TokenRefused):
        devices.claim(second.device_code)


def test_one_code_is_agreed_to_once_however_many_try() -> None:
    devices = Devices()
    asking = devices.begin("127.0.0.1")
    agreed: list[str] = []

    def agree(name: str) -> None:
        try:
            devices.agree(asking.user_code, Caller(name))
            agreed.append(name)
        except TokenRefused:
            pass

    threads = [threading.Thread(target=agree, args=(f"p{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    caller = devices.claim(asking.device_code)
    assert caller is not None and agreed == [caller.principal]
