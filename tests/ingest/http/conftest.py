"""A running HTTP proxy with the demo API registered, and an upstream that does what well-behaved ones do not."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from schemas.runtime import Home, write_private
from tests.support.homes import connect_home
from tests.support.http_api import HttpApi
from tests.support.kafka import Kafka
from tests.support.proxies import Login, Proxy, issue_credential, run_proxy


@dataclass
class Captured:
    """The proxy, a login, and how to reach the demo API through it."""

    home: Home
    proxy: Proxy
    login: Login
    port: int
    resource: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.login.id}.{self.login.secret}"}

    @property
    def proxy_url(self) -> str:
        """The regular proxy, with the login."""
        return f"http://{self.login.id}:{self.login.secret}@127.0.0.1:{self.proxy.ports['http_proxy']}"


@pytest.fixture
def captured(bare_home: Home, kafka: Kafka, http_server: HttpApi) -> Iterator[Captured]:
    connect_home(bare_home, kafka, ports={"http_proxy": 0})
    with run_proxy(bare_home, "ingest.http", "proxy-http") as proxy:
        login = issue_credential(bare_home, proxy.writer)
        write_private(bare_home.secrets / "upstream/api.token", http_server.token.encode())
        name = f"api-{http_server.port}-{proxy.process.pid}"
        upstream = {"host": http_server.host, "port": http_server.port, "secret": "file:upstream/api.token"}
        resource = proxy.register(name, "http", upstream)
        yield Captured(bare_home, proxy, login, resource.listen, name)
