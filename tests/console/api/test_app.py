"""The application without a server: errors of HTTP and of handlers alike are problems."""

from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from console.api.app import make_app
from console.api.routes import SERVICE
from console.api.routing import Route


class Failing:
    """A handling that fails."""

    async def answer(self, route: Route, request: Request) -> Response:
        raise RuntimeError("secret-value")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/healthz", 405), ("GET", "/healthz", 500)]
)
async def test_every_error_is_a_problem(method: str, path: str, status: int) -> None:
    failing: Any = Failing()
    transport = httpx.ASGITransport(make_app(SERVICE, failing), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        response = await client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert "secret-value" not in response.text
    if status == 405:
        assert "GET" in response.headers["allow"]
