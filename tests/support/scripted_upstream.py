"""An HTTP/1.1 upstream that answers each path with the bytes that the test wrote for it, piece by piece."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

LOOPBACK = "127.0.0.1"
ABORT = b"(abort)"
"""A piece that resets the connection instead."""


@dataclass
class Scripted:
    """A running server. `script`: path to pieces; each is sent `pause_s` after the one before it."""

    port: int = 0
    pause_s: float = 0.0
    script: dict[str, Sequence[bytes]] = field(default_factory=dict)
    seen: list[dict[str, str]] = field(default_factory=list)

    def answer(self, path: str, body: bytes, *headers: str, status: str = "200 OK") -> None:
        """Of known length, in one piece."""
        self.script[path] = [head(status, f"Content-Length: {len(body)}", *headers) + body]

    def stream(self, path: str, pieces: Sequence[bytes], *headers: str, trailers: bytes = b"") -> None:
        """Chunked, a piece a chunk."""
        chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
        self.script[path] = [
            head("200 OK", "Transfer-Encoding: chunked", *headers),
            *chunks,
            b"0\r\n" + trailers + b"\r\n",
        ]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while line := await reader.readline():
                method, target, _ = line.decode().split()
                fields = {":method": method, ":path": target}
                while (text := await reader.readline()).strip():
                    name, _, value = text.decode("latin-1").partition(":")
                    fields[name.lower()] = value.strip()
                fields[":body"] = (await read_body(reader, fields)).decode("latin-1")
                self.seen.append(fields)
                for piece in self.script[target.partition("?")[0]]:
                    if piece is ABORT:
                        writer.transport.abort()
                        return
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(self.pause_s)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def read_body(reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
    """A request's content, chunked or of known length."""
    if fields.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(fields.get("content-length", "0")))
    pieces = []
    while size := int((await reader.readline()).strip(), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(pieces)


def head(status: str, *headers: str) -> bytes:
    """The head of an answer."""
    return "\r\n".join((f"HTTP/1.1 {status}", *headers, "", "")).encode("latin-1")


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """The server, in a thread of its own."""
    running = Scripted()
    loop = asyncio.new_event_loop()
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await running.serve(reader, writer)

    server = loop.run_until_complete(asyncio.start_server(accept, LOOPBACK, 0))
    running.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, name="scripted-upstream")
    thread.start()

    async def stop() -> None:
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()  # a closed one may still wait for a peer that reads no more
        await asyncio.sleep(0)

    try:
        yield running
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
