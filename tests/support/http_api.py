"""The demo's HTTP API as an upstream for tests, in a thread of its own."""

import asyncio
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from deploy.embedded.http_api import make_app
from deploy.embedded.process import LOOPBACK


@dataclass(frozen=True)
class HttpApi:
    """A running API."""

    port: int
    token: str = field(repr=False)
    host: str = LOOPBACK

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        """What a direct caller must send."""
        return {"Authorization": f"Bearer {self.token}"}


@pytest.fixture(scope="session")
def http_server() -> Iterator[HttpApi]:
    """The shared API, see deploy/embedded/http_api.py for what it serves."""
    token = secrets.token_urlsafe(16)
    runner = web.AppRunner(make_app(token), access_log=None, shutdown_timeout=1.0)

    async def serve() -> int:
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, 0).start()
        port: int = runner.addresses[0][1]
        return port

    loop = asyncio.new_event_loop()
    port = loop.run_until_complete(serve())
    thread = threading.Thread(target=loop.run_forever, name="http-api")
    thread.start()
    try:
        yield HttpApi(port, token)
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
