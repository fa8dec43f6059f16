"""An HTTP/1.1 upstream that does on purpose what few servers do: every path is one behaviour, written byte by byte."""

import asyncio
import gzip
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import pytest

LOOPBACK = "127.0.0.1"
PIECE = bytes(range(256)) * 256


@dataclass
class Request:
    """What arrived."""

    method: str
    target: str
    headers: dict[str, str]
    reader: asyncio.StreamReader = field(repr=False)
    body_bytes: int = 0
    trailers: dict[str, str] = field(default_factory=dict)


@dataclass
class Edges:
    """A running server and what it saw."""

    port: int = 0
    seen: list[Request] = field(default_factory=list)
    open: int = 0
    bytes_in: int = 0


Answer = Callable[[Edges, Request, asyncio.StreamWriter], Awaitable[None]]


def _head(status: str, *headers: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", *headers, "", "")).encode()


def _whole(body: bytes, *headers: str) -> bytes:
    return _head("200 OK", f"Content-Length: {len(body)}", *headers) + body


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def echo(edges: Edges, request: Request, writer: asyncio.StreamWriter) -> None:
    """GET|POST /echo: the head as the upstream saw it."""
    document = {"method": request.method, "target": request.target, "headers": request.headers}
    document |= {"bytes": request.body_bytes, "trailers": request.trailers}
    writer.write(_whole(json.dumps(document).encode(), "Content-Type: application/json"))


async def trailers(edges: Edges, request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(_head("200 OK", "Transfer-Encoding: chunked", "Trailer: X-Sum") + _chunk(b"body"))
    writer.write(b"0\r\nX-Sum: 42\r\n\r\n")


async def hints(edges: Edges, request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(_head("103 Early Hints", "Link: </style.css>; rel=preload"))
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.write(_whole(b"hinted"))


async def late(edges: Edges, request: Request, writer: asyncio.StreamWriter) -> None:
    """A first chunk at once, the second when the test says so (a request to /go)."""
    writer.write(_head("200 OK", "Transfer-Encoding: chunked", "Content-Type: text/plain") + _chunk(b"first\n"))
    await writer.drain()
    before = len(edges.seen)
    while len(edges.seen) == before:
        await asyncio.sleep(0.02)
    writer.write(_chunk(b"second\n") + b"0\r\n\r\n")


async def unframed(edges: Edges, request: Request, writer: asyncio.StreamWriter) -> None:
    """Neither length nor chunks: closing is the end."""
    writer.write(_head("200 OK", "Content-Type: text/plain") + b"until the end")
    await writer.drain()
    writer.close()


async def cut(edges: Edges, request: Request, writer: asyncio.StreamWriter) -> None:
    """Closes in the middle of a long answer."""
    writer.write(_head("200 OK", "Content-Length: 200000") + b"x" * 100_000)
    await writer.drain()
    writer.close()


async def redirect(edges: Edges, request: Request, writer: asyncio.StreamWriter) -> None:
    location = f"Location: http://{request.headers['host']}/echo"
    writer.write(_head("302 Found", location, "Content-Length: 0"))


async def packed(edges: Edges, request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(_whole(gzip.compress(b'{"card": "none"}'), "Content-Type: application/json", "Content-Encoding: gzip"))


async def bomb(edges: Edges, request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(_whole(gzip.compress(bytes(50 << 20)), "Content-Type: text/plain", "Content-Encoding: gzip"))


async def garbage(edges: Edges, request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"this is not HTTP at all\r\n\r\n")
    await writer.drain()
    writer.close()


async def endless_head(edges: Edges, request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(10_000):
        writer.write(b"X-%d: %b\r\n" % (number, b"y" * 100))
        await writer.drain()


async def unasked_upgrade(edges: Edges, request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(_head("101 Switching Protocols", "Upgrade: other", "Connection: Upgrade") + b"raw bytes")


async def silence(edges: Edges, request: Request, writer: asyncio.StreamWriter) -> None:
    """Never answers; notices when the client leaves."""
    await request.reader.read()
    writer.close()


async def big(edges: Edges, request: Request, writer: asyncio.StreamWriter) -> None:
    """GET /big?bytes=n: of known length."""
    left = int(request.target.partition("=")[2])
    writer.write(_head("200 OK", f"Content-Length: {left}", "Content-Type: application/octet-stream"))
    while left:
        piece = PIECE[: min(left, len(PIECE))]
        writer.write(piece)
        left -= len(piece)
        await writer.drain()


async def empty(edges: Edges, request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(_head("304 Not Modified", "Content-Length: 7", 'ETag: "1"'))


async def refuse_early(edges: Edges, request: Request, writer: asyncio.StreamWriter) -> None:
    """Answered before the body was read, see EARLY."""
    writer.write(_head("413 Content Too Large", "Content-Length: 4", "Connection: close") + b"full")
    await writer.drain()
    while await request.reader.read(1 << 16):
        pass
    writer.close()


ROUTES: dict[str, Answer] = {
    "/echo": echo,
    "/trailers": trailers,
    "/hints": hints,
    "/late": late,
    "/go": echo,
    "/unframed": unframed,
    "/cut": cut,
    "/redirect": redirect,
    "/packed": packed,
    "/bomb": bomb,
    "/garbage": garbage,
    "/endless-head": endless_head,
    "/unasked-upgrade": unasked_upgrade,
    "/silence": silence,
    "/big": big,
    "/empty": empty,
    "/early": refuse_early,
}
EARLY = {"/early"}


async def _read_body(edges: Edges, request: Request, reader: asyncio.StreamReader) -> None:
    if "chunked" in request.headers.get("transfer-encoding", ""):
        while size := int(await reader.readline(), 16):
            request.body_bytes += len(await reader.readexactly(size + 2)) - 2
        while (line := await reader.readline()).strip():
            name, _, value = line.decode().partition(":")
            request.trailers[name.lower()] = value.strip()
        return
    left = int(request.headers.get("content-length", "0"))
    while left:
        piece = await reader.read(min(left, 1 << 16))
        if not piece:
            raise ConnectionError
        left -= len(piece)
        request.body_bytes += len(piece)
        edges.bytes_in += len(piece)


async def _serve(edges: Edges, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    edges.open += 1
    try:
        while line := await reader.readline():
            method, target, _ = line.decode("latin-1").split()
            headers = {}
            while (field_ := await reader.readline()).strip():
                name, _, value = field_.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            request = Request(method, target, headers, reader)
            path = target.partition("?")[0]
            if path not in EARLY:
                await _read_body(edges, request, reader)
            edges.seen.append(request)
            await ROUTES[path](edges, request, writer)
            await writer.drain()
            if writer.is_closing():
                break
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        edges.open -= 1
        writer.close()


@pytest.fixture
def edges() -> Iterator[Edges]:
    """The server, in a thread of its own."""
    running = Edges()
    loop = asyncio.new_event_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await _serve(running, reader, writer)
        finally:
            tasks.discard(task)

    server = loop.run_until_complete(asyncio.start_server(accept, LOOPBACK, 0))
    running.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, name="http-edges")
    thread.start()

    async def stop() -> None:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        server.abort_clients()  # also those that are in their handshake, and those whose peer reads no more
        await asyncio.sleep(0)

    try:
        yield running
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
