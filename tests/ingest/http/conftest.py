"""One HTTP proxy for these tests; each test registers resources of its own, so their trails do not mix."""

import itertools
import shutil
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from schemas.runtime import Home, write_private
from tests.support.homes import connect_home
from tests.support.http2_upstream import Http2Upstream
from tests.support.http_api import HttpApi
from tests.support.http_edges import Edges
from tests.support.kafka import Kafka
from tests.support.proxies import Login, Proxy, Trail, issue_credential, run_proxy, wait_for_trails

_numbers = itertools.count(1)

RULED = {"policy": "ruled"}
"""Labels of a resource that the rules of the tests' policy file are for."""

POLICY = """
@id("others") permit (principal, action, resource)
unless { context.target like "*/echo" && resource in Label::"policy=ruled" }
unless { resource in [Label::"policy=masked", Label::"policy=columns", Label::"policy=relayed"] };
@id("no-delete") @reason("orders are cancelled, not deleted")
forbid (principal, action == Action::"delete", resource in Label::"policy=ruled");
@id("no-redirect")
forbid (principal, action, resource in Label::"policy=ruled") when { context.target like "*/redirect" };
@id("no-post") @approval("big orders")
permit (principal, action == Action::"write", resource in Label::"policy=ruled")
when { context.target like "*/echo" };
@id("no-get") @mask("nonsense")
permit (principal, action == Action::"read", resource in Label::"policy=ruled")
when { context.target like "*/echo" };
@id("mask-all") @mask @reason("personal data")
permit (principal, action, resource in Label::"policy=masked");
@id("mask-columns") @mask("email; columns=salary, x-level; typed=stand_in")
permit (principal, action, resource in Label::"policy=columns");
@id("mask-relay") @mask("unreadable=relay")
permit (principal, action, resource in Label::"policy=relayed");
@id("models") @reason("only the small model")
forbid (principal, action == Action::"model_call", resource in Label::"policy=calls")
unless { context.model == "small" };
@id("tools") @reason("only the search, at step 2")
forbid (principal, action == Action::"tool_call", resource in Label::"policy=calls")
unless { context.tool == "search" && context.step == "2" };
@id("brief") @record("statement") permit (principal, action, resource in Label::"policy=brief");
@id("first-bytes") @record("bytes=10") permit (principal, action, resource in Label::"policy=first-bytes");
@id("whole") @record("full") permit (principal, action, resource in Label::"policy=whole");
"""


@dataclass
class Front:
    """A resource and its listener."""

    captured: "Captured"
    name: str
    port: int
    upstream_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def trails(self, count: int = 1) -> list[Trail]:
        """The sessions on this resource, once so many are closed."""
        return wait_for_trails(self.captured.home, self.name, count)

    def trail(self) -> Trail:
        (trail,) = self.trails()
        return trail


@dataclass
class Captured:
    """The proxy, a login for everything, and what it fronts."""

    home: Home
    proxy: Proxy
    login: Login
    api_port: int = 0
    ca: str = field(default="")

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.login.id}.{self.login.secret}"}

    @property
    def proxy_url(self) -> str:
        """The regular proxy, with the login."""
        return f"http://{self.login.id}:{self.login.secret}@127.0.0.1:{self.proxy.ports['http_proxy']}"

    def front(self, port: int, **settings: object) -> Front:
        """Register an upstream under a new name."""
        name = f"web-{self.proxy.process.pid}-{next(_numbers)}"
        upstream = {"host": "127.0.0.1", "port": port, **settings.pop("upstream", {})}  # type: ignore[dict-item]
        resource = self.proxy.register(name, "http", upstream, **settings)
        return Front(self, name, resource.listen, port)

    def front_api(self, **settings: object) -> Front:
        """The demo API, with its token put on by the proxy."""
        return self.front(self.api_port, upstream={"secret": "file:upstream/api.token"}, **settings)


@pytest.fixture(scope="package")
def captured(
    secrets_home: Home, tmp_path_factory: pytest.TempPathFactory, kafka: Kafka, http_server: HttpApi
) -> Iterator[Captured]:
    home = Home(tmp_path_factory.mktemp("http") / "home")
    shutil.copytree(secrets_home.root, home.root)
    policy = home.root / "policy.cedar"
    policy.write_text(POLICY)
    connect_home(home, kafka, ports={"http_proxy": 0}, capture={"audit_timeout_s": 3}, policy_file=str(policy))
    write_private(home.secrets / "upstream/api.token", http_server.token.encode())
    with run_proxy(home, "ingest.http", "proxy-http") as proxy:
        login = issue_credential(home, proxy.writer)
        yield Captured(home, proxy, login, http_server.port, str(home.ca / "custody-ca-cert.pem"))


@pytest.fixture
def edge(captured: Captured, edges: Edges) -> Front:
    """The ill-behaved upstream behind a listener of its own."""
    return captured.front(edges.port)


@pytest.fixture
def api(captured: Captured) -> Front:
    """The demo API behind a listener of its own."""
    return captured.front_api()


@pytest.fixture
def upstream(http2_upstream: Http2Upstream) -> Http2Upstream:
    return http2_upstream


@pytest.fixture
def secure(captured: Captured, upstream: Http2Upstream) -> Front:
    """The HTTP/2 upstream, its certificate checked."""
    checks = {"host": "localhost", "tls": "verify", "ca_file": upstream.certificate}
    return captured.front(upstream.port, upstream=checks)


def trusting(captured: Captured) -> ssl.SSLContext:
    """TLS settings of an agent that trusts the interception CA."""
    return ssl.create_default_context(cafile=captured.ca)
