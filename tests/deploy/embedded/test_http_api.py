"""The demo's HTTP API, over a socket."""

import io
import itertools

import aiohttp
import pytest

from tests.support.http_api import HttpApi


@pytest.fixture
async def client(http_server: HttpApi):
    async with aiohttp.ClientSession(http_server.url, headers=http_server.headers) as session:
        yield session


async def test_a_token_is_needed(http_server: HttpApi) -> None:
    async with aiohttp.ClientSession(http_server.url) as session:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic é"}):
            async with session.get("/customers", headers=headers) as response:
                assert response.status == 401


async def test_customers(client: aiohttp.ClientSession) -> None:
    async with client.get("/customers") as response:
        assert [customer["id"] for customer in await response.json()] == [1, 2, 3]
    async with client.get("/customers/9") as response:
        assert response.status == 404


async def test_an_order_is_made_listed_and_deleted(client: aiohttp.ClientSession) -> None:
    async with client.post("/orders", json={"customer_id": 1, "item": "lamp", "quantity": 2}) as response:
        assert response.status == 201
        order = await response.json()
    async with client.get("/orders") as response:
        assert order in await response.json()
    async with client.delete(f"/orders/{order['id']}") as response:
        assert response.status == 204
    async with client.get("/orders") as response:
        assert order not in await response.json()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"customer_id": "x", "item": 1}', b"[" * 100_000])
async def test_a_bad_order_is_refused(client: aiohttp.ClientSession, body: bytes) -> None:
    async with client.post("/orders", data=body) as response:
        assert response.status == 400


async def test_events_and_stream(client: aiohttp.ClientSession) -> None:
    async with client.get("/events", params={"count": 3, "interval_ms": 1}) as response:
        assert response.content_type == "text/event-stream"
        assert (await response.text()).count("event: tick") == 3
    async with client.get("/stream", params={"bytes": 100_001}) as response:
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert await response.read() == bytes(itertools.islice(itertools.cycle(range(256)), 100_001))
    for bad in ("-1", "x", "9" * 30, "٣"):
        async with client.get("/stream", params={"bytes": bad}) as response:
            assert response.status == 400


async def test_upload_and_websocket(client: aiohttp.ClientSession) -> None:
    async with client.post("/upload", data=io.BytesIO(bytes(3_000_000))) as response:
        assert await response.json() == {"bytes": 3_000_000}
    async with client.ws_connect("/ws") as socket:
        await socket.send_str("hello")
        assert await socket.receive_str() == "hello"
        await socket.send_bytes(b"\x00\xff")
        assert await socket.receive_bytes() == b"\x00\xff"
