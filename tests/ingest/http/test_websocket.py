"""WebSocket through the proxy: messages, long messages, clean closes and aborts."""

import asyncio
import secrets
import socket

import aiohttp
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from tests.ingest.http.conftest import Captured, Front


async def open_socket(front: Front, captured: Captured, path: str = "/ws") -> ClientConnection:
    return await connect(f"ws://{front.host}{path}", additional_headers=captured.bearer, max_size=None, proxy=None)


async def test_every_message_is_a_record(api: Front, captured: Captured) -> None:
    socket_ = await open_socket(api, captured)
    await socket_.send("hello")
    assert await socket_.recv() == "hello"
    await socket_.send(b"\x00\x01")
    assert await socket_.recv() == b"\x00\x01"
    await socket_.ping()
    await socket_.close(1000, "done")
    trail = await asyncio.to_thread(api.trail)
    assert [event.payload for event in trail.of("data.sent")] == [b"hello", b"\x00\x01"]
    assert [event.payload for event in trail.of("data.received")] == [b"hello", b"\x00\x01"]
    assert trail.events[-1].status == "agent_closed"
    (outcome,) = trail.of("action.completed")
    assert (outcome.status, outcome.attributes["header.websocket.close_code"]) == ("101", "1000")


async def test_a_long_message_passes_in_parts(api: Front, captured: Captured) -> None:
    socket_ = await open_socket(api, captured)
    message = secrets.token_hex(500_000)
    await socket_.send(message)
    assert await socket_.recv() == message
    await socket_.close()
    trail = await asyncio.to_thread(api.trail)
    sent = trail.of("data.sent")
    assert len(sent) > 1
    assert sent[-1].payload_bytes == 1_000_000
    assert sum(event.bytes for event in sent) == 1_000_000


async def test_the_parts_of_a_long_message_end_where_no_value_does(api: Front, captured: Captured) -> None:
    socket_ = await open_socket(api, captured)
    message = "".join(f"row {number}, bob.smith.{number}@example.com\n" for number in range(20_000))
    await socket_.send(message)
    assert await socket_.recv() == message
    await socket_.close()
    sent = (await asyncio.to_thread(api.trail)).of("data.sent")
    assert len(sent) > 1
    assert all(event.payload[-1:] == b"\n" for event in sent if not event.is_truncated)
    assert sum(event.bytes for event in sent) == len(message)


async def test_an_abort_of_the_upstream_is_an_abort_for_the_agent(captured: Captured) -> None:
    async def vanish(connection: ServerConnection) -> None:
        await connection.recv()
        connection.transport.abort()

    async with serve(vanish, "127.0.0.1", 0) as server:
        front = await asyncio.to_thread(captured.front, server.sockets[0].getsockname()[1])
        socket_ = await open_socket(front, captured, "/")
        await socket_.send("go")
        with pytest.raises(websockets.ConnectionClosedError) as caught:
            await socket_.recv()
        assert caught.value.rcvd is None  # no close frame: the agent knows that it was no clean end
        trail = await asyncio.to_thread(front.trail)
    assert trail.of("action.completed")[0].error == "the upstream broke off"
    assert trail.events[-1].status == "upstream_closed"


async def test_the_upstreams_close_code_arrives(captured: Captured) -> None:
    async def close(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.close(4001, "enough")

    async with serve(close, "127.0.0.1", 0) as server:
        front = await asyncio.to_thread(captured.front, server.sockets[0].getsockname()[1])
        socket_ = await open_socket(front, captured, "/")
        await socket_.send("go")
        with pytest.raises(websockets.ConnectionClosed) as caught:
            await socket_.recv()
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4001, "enough")  # type: ignore[union-attr]
        trail = await asyncio.to_thread(front.trail)
    assert trail.events[-1].status == "upstream_closed"


async def test_an_agent_that_drops_its_socket(api: Front, captured: Captured) -> None:
    socket_ = await open_socket(api, captured)
    await socket_.send("hello")
    await socket_.recv()
    socket_.transport.abort()
    trail = await asyncio.to_thread(api.trail)
    assert trail.events[-1].status == "agent_disconnected"


async def test_bad_frames_break_the_conversation(api: Front, captured: Captured) -> None:
    socket_ = await open_socket(api, captured)
    raw: socket.socket = socket_.transport.get_extra_info("socket")
    assert raw is not None
    socket_.transport.write(b"\xff\xff\xff\xff")
    with pytest.raises(websockets.ConnectionClosed):
        await socket_.recv()
    trail = await asyncio.to_thread(api.trail)
    assert trail.of("action.completed")[0].attributes["header.websocket.close_code"] == "1002"


async def test_aiohttp_and_server_sent_events(api: Front, captured: Captured) -> None:
    async with aiohttp.ClientSession(headers=captured.bearer) as session:
        async with session.ws_connect(f"{api.url}/ws") as socket_:
            await socket_.send_str("hi")
            assert (await socket_.receive()).data == "hi"
        async with session.get(f"{api.url}/events?count=3&interval_ms=400") as answer:
            arrived = [line async for line in answer.content if line.startswith(b"data:")]
    assert len(arrived) == 3
    trails = await asyncio.to_thread(api.trails, 2)
    events = next(trail for trail in trails if "/events" in trail.of("action.requested")[0].statement)
    assert len(events.of("data.received")) >= 2
    assert (
        b"".join(e.payload for e in (*events.of("data.received"), *events.of("action.completed"))).count(b"data:") == 3
    )
