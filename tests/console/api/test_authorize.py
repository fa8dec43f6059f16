"""A real MCP client finds out by itself where to log in, a person agrees, and it calls a tool through the proxy."""

import asyncio
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.server.fastmcp import FastMCP
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from console.api.codes import challenge_of
from schemas.oauth_metadata import AUTHORIZATION_SERVER
from schemas.resources import Resource
from schemas.runtime import Home
from tests.console.api.test_saml import Site, sign_in
from tests.support.api import Api, document_of, run_api
from tests.support.homes import connect_home
from tests.support.kafka import Kafka
from tests.support.proxies import Proxy, run_proxy, wait_for_trails
from tests.support.saml_provider import SamlIdp

BACK = "http://127.0.0.1:1/callback"
VERIFIER = "v" * 64
POLICY = """
permit (principal, action, resource);
@reason("orders stay")
forbid (principal, action == Action::"tool_call", resource) when { context.tool == "delete_order" };
"""


@dataclass
class Memory:
    """What the client keeps. It was not registered: its id is the agent's name."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = field(
        default_factory=lambda: OAuthClientInformationFull(
            client_id="notebook", redirect_uris=[AnyUrl(BACK)], token_endpoint_auth_method="none"
        )
    )

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


@dataclass
class Place:
    """API, provider, proxy, and an MCP server behind it."""

    site: Site
    proxy: Proxy
    server: Resource

    @property
    def api(self) -> Api:
        return self.site.api

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.listen}/mcp"

    def asks(self, **changes: str) -> dict[str, str]:
        """An authorization request."""
        return {
            "response_type": "code", "client_id": "notebook", "redirect_uri": BACK, "state": "s", "resource": self.url,
            "code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256",
        } | changes  # fmt: skip

    def redeem(self, code: str, **changes: str) -> httpx.Response:
        form = {"grant_type": "authorization_code", "code": code, "client_id": "notebook", "redirect_uri": BACK}
        return httpx.post(
            self.api.url + "/token",
            trust_env=False,
            data=form | {"code_verifier": VERIFIER, "resource": self.url} | changes,
        )


@pytest.fixture(scope="module")
def upstream() -> Iterator[int]:
    """An MCP server with two tools."""
    server = FastMCP("orders")

    @server.tool()
    def find_order(id: int) -> str:
        return f"order {id} is on its way"

    @server.tool()
    def delete_order(id: int) -> str:
        return f"order {id} is gone"

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server.settings.transport_security = None
        app = server.streamable_http_app()
        running = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
        thread = threading.Thread(target=lambda: asyncio.run(running.serve([listener])))
        thread.start()
        yield port
        running.should_exit = running.force_exit = True
        thread.join(20)


@pytest.fixture(scope="module")
def place(secrets_home: Home, kafka: Kafka, upstream: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("mcp")
    home, idp = Home(folder / "home"), SamlIdp()
    shutil.copytree(secrets_home.root, home.root)
    (folder / "p.cedar").write_text(POLICY)
    grants = [
        {"agent": "notebook", "groups": ["developers"], "resources": ["mcp-orders"]},
        {"agent": "other", "groups": ["nobody"], "resources": ["*"]},
    ]
    identity = {"saml": idp.settings(folder), "grants": grants}
    ports = {"api": 0, "http_proxy": 0}
    connect_home(home, kafka, ports=ports, identity=identity, policy_file=str(folder / "p.cedar"))
    with run_api(home) as api, run_proxy(home, "ingest.http", "proxy-http") as proxy:
        server = proxy.register("mcp-orders", "http", {"host": "127.0.0.1", "port": upstream}, speaks="mcp")
        yield Place(Site(api, idp), proxy, server)


@pytest.fixture
def browser(place: Place) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=place.api.url, trust_env=False, headers={"Origin": place.api.url}) as client:
        yield client


def agree(browser: httpx.Client, asked: dict[str, str], answer: str = "allow") -> dict[str, list[str]]:
    """What the client gets back."""
    sent = browser.post("/authorize", data={**asked, "answer": answer})
    assert sent.status_code == 302, sent.text
    assert sent.headers["Location"].startswith(BACK + "?")
    return parse_qs(urlsplit(sent.headers["Location"]).query)


def test_a_real_client_calls_a_tool_in_a_persons_name(place: Place, browser: httpx.Client) -> None:
    came_back: dict[str, list[str]] = {}

    async def open_browser(url: str) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert browser.get(url).headers["Location"].startswith("/login?next=%2Fauthorize")
        sign_in(place.site, browser)
        shown = browser.get(url)
        assert all(word in shown.text for word in ("ann@example.com", "notebook", "mcp-orders"))
        came_back.update(agree(browser, asked))

    async def come_back() -> tuple[str, str | None]:
        return came_back["code"][0], came_back["state"][0]

    async def act() -> tuple[list[str], str, str]:
        about = OAuthClientMetadata(redirect_uris=[AnyUrl(BACK)], client_name="notebook")
        provider = OAuthClientProvider(place.url, about, Memory(), open_browser, come_back)
        async with (
            httpx.AsyncClient(auth=provider, timeout=60, trust_env=False) as http,
            streamable_http_client(place.url, http_client=http) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = [tool.name for tool in (await session.list_tools()).tools]
            found = await session.call_tool("find_order", {"id": 7})
            try:
                await session.call_tool("delete_order", {"id": 7})
                refusal = ""
            except Exception as error:
                refusal = repr(error)
            return tools, str(found.content[0].text), refusal  # type: ignore[union-attr]

    tools, found, refusal = asyncio.run(asyncio.wait_for(act(), 90))
    assert tools == ["find_order", "delete_order"] and found == "order 7 is on its way"
    assert "Custody: orders stay" in refusal
    context, events = place.api.recorded("authorize")[-1]
    assert (context.principal, events[1].attributes["agent"]) == ("ann@example.com", "notebook")
    trails = wait_for_trails(place.proxy.home, "mcp-orders", 2, 30)
    known = [trail for trail in trails if trail.context.principal == "ann@example.com"]
    assert {(t.context.agent, t.context.delegation[0].on_behalf_of) for t in known} == {("notebook", "ann@example.com")}
    asked = [event for trail in known for event in trail.of("action.requested")]
    assert any("read find_order" in event.objects and event.verdict == "allow" for event in asked)
    assert any(event.verdict == "deny" and event.operation == "delete" for event in asked)


def test_the_server_describes_itself(place: Place) -> None:
    described = document_of(httpx.get(place.api.url + AUTHORIZATION_SERVER, trust_env=False))
    assert described["issuer"] == place.api.url and described["authorization_endpoint"] == place.api.url + "/authorize"
    assert described["code_challenge_methods_supported"] == ["S256"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"client_id": "unknown"}, "no agent"),
        ({"redirect_uri": "https://evil.example/cb"}, "loopback"),
        ({"response_type": "token"}, "only code"),
        ({"code_challenge_method": "plain"}, "S256"),
        ({"code_challenge": "short"}, "SHA-256"),
        ({"resource": "http://evil.example/mcp"}, "MCP server"),
        ({"state": "s" * 1001}, "state"),
    ],
    ids=["client", "redirect", "type", "method", "challenge", "resource", "state"],
)
def test_senseless_requests_lead_nowhere(
    place: Place, browser: httpx.Client, changes: dict[str, str], words: str
) -> None:
    refused = browser.get("/authorize", params=place.asks(**changes))
    assert refused.status_code == 400 and words in refused.json()["detail"]


def test_codes_count_once_for_their_client_and_resource(place: Place, browser: httpx.Client) -> None:
    assert browser.post("/authorize", data={**place.asks(), "answer": "allow"}).status_code == 401
    sign_in(place.site, browser)
    elsewhere = browser.post("/authorize", data=place.asks(), headers={"Origin": "https://evil.example"})
    assert elsewhere.status_code == 403
    assert agree(browser, place.asks(), "deny")["error"] == ["access_denied"]
    found = agree(browser, place.asks())
    assert (found["state"], found["iss"]) == (["s"], [place.api.url])
    issued = document_of(place.redeem(found["code"][0]))
    assert (issued["audience"], issued["principal"], issued["agent"]) == (["mcp-orders"], "ann@example.com", "notebook")
    assert place.redeem(found["code"][0]).json()["error"] == "invalid_grant"
    for changes in ({"code_verifier": "w" * 64}, {"client_id": "other"}, {"redirect_uri": BACK + "/"}):
        assert place.redeem(agree(browser, place.asks())["code"][0], **changes).json()["error"] == "invalid_grant"
    wrong = place.redeem(agree(browser, place.asks())["code"][0], resource="http://127.0.0.1:1/mcp")
    assert wrong.json()["error"] == "invalid_target"
    other = place.redeem(agree(browser, place.asks(client_id="other"))["code"][0], client_id="other")
    assert other.json()["error"] == "access_denied"
    last = agree(browser, place.asks())["code"][0]
    browser.delete("/v1/sign-in")
    assert "session is over" in place.redeem(last).json()["error_description"]
