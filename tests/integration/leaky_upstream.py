"""Upstreams that answer with secrets: an HTTP API with every kind of answer, and a TCP echo."""

import asyncio
import base64
import gzip
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import WSMsgType, web

from deploy.embedded.process import LOOPBACK
from tests.integration.canaries import Canaries
from tests.support.postgres import make_certificate

SPLIT_PAUSE_S: Final = 0.05
Make = Callable[[str], Canaries]


def make_app(canaries: Make) -> web.Application:
    """Every path of the app is one kind of answer; its secrets are those of the canary path `http-answer-<kind>`."""

    async def echo(request: web.Request) -> web.Response:
        return web.Response(text=f"{len(await request.read())} bytes came")

    async def as_json(request: web.Request) -> web.Response:
        return web.Response(text=canaries("http-answer-json").json(), content_type="application/json")

    async def as_text(request: web.Request) -> web.Response:
        return web.Response(text=canaries("http-answer-text").text())

    async def as_html(request: web.Request) -> web.Response:
        text = canaries("http-answer-html").text()
        return web.Response(text=f"<html><body><p>{text}</p></body></html>", content_type="text/html")

    async def as_gzip(request: web.Request) -> web.Response:
        body = gzip.compress(canaries("http-answer-gzip").json().encode())
        return web.Response(body=body, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})

    async def as_archive(request: web.Request) -> web.Response:
        body = gzip.compress(canaries("http-answer-archive").text().encode())
        return web.Response(body=body, content_type="application/octet-stream")

    async def as_utf16(request: web.Request) -> web.Response:
        body = canaries("http-answer-utf16").text().encode("utf-16-le")
        return web.Response(body=body, content_type="text/plain", charset="utf-16")

    async def as_base64(request: web.Request) -> web.Response:
        return web.Response(body=base64.b64encode(canaries("http-answer-base64").text().encode()))

    async def as_headers(request: web.Request) -> web.Response:
        found = canaries("http-answer-headers")
        response = web.Response(text="see the headers", headers={"X-Note": found.line()})
        response.set_cookie("session", found.values["json_api_key"])
        response.headers["X-Api-Key"] = found.values["json_password"]
        response.headers["Location"] = f"/next?password={found.values['password']}"
        return response

    async def as_events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in (canaries("http-answer-sse").line(), canaries("http-answer-sse").json()):
            await response.write(f"data: {piece}\n\n".encode())
            await asyncio.sleep(SPLIT_PAUSE_S)
        return response

    async def as_chunks(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        data = canaries("http-answer-chunked").text().encode()
        for start in range(0, len(data), 37):  # no secret lies within one chunk
            await response.write(data[start : start + 37])
        return response

    async def as_long(request: web.Request) -> web.Response:
        text = canaries("http-answer-long").text() + "z" * 300_000 + canaries("http-answer-long").text()
        return web.Response(text=text)

    async def as_failure(request: web.Request) -> web.Response:
        return web.Response(status=500, text=canaries("http-answer-500").json(), content_type="application/json")

    async def as_messages(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(canaries("http-answer-websocket").json())
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(canaries("http-answer-websocket").text().encode())
        return socket

    async def mirror(request: web.Request) -> web.Response:
        return web.Response(body=await request.read(), content_type=request.content_type)

    async def mirror_messages(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    app = web.Application(client_max_size=1 << 22)
    answers = {
        "json": as_json, "text": as_text, "html": as_html, "gzip": as_gzip, "archive": as_archive,
        "utf16": as_utf16, "base64": as_base64, "headers": as_headers, "sse": as_events, "chunked": as_chunks,
        "long": as_long, "500": as_failure, "websocket": as_messages,
    }  # fmt: skip
    app.add_routes([web.get(f"/answer/{name}", answer) for name, answer in answers.items()])
    app.add_routes([web.post("/mirror", mirror), web.get("/mirror/messages", mirror_messages)])
    app.add_routes([web.route("*", "/{rest:.*}", echo)])
    return app


def make_tls(directory: Path) -> ssl.SSLContext:
    """A server's TLS with a certificate for 127.0.0.1 that it signed itself."""
    certificate, key = make_certificate()
    path = directory / "leaky.pem"
    path.write_bytes(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@asynccontextmanager
async def serve_http(canaries: Make, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The API's port."""
    runner = web.AppRunner(make_app(canaries), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0, ssl_context=tls).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serve_echo() -> AsyncIterator[int]:
    """A TCP server that sends back what it gets; its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, LOOPBACK, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
