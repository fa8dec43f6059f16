"""A relay on uvloop that reads nothing of what it passes on: what is left of a Python proxy when all its work is free.

`python -m bench.bare_relay PORT UPSTREAM_PORT`, both on loopback, until it is stopped.
"""

import asyncio
import sys
from typing import cast

import uvloop


class _Leg(asyncio.Protocol):
    """One side of a connection; bytes that come before the other side is there wait."""

    def __init__(self) -> None:
        self.other: _Leg | None = None
        self.waiting = bytearray()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass of it

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self.waiting += data
        else:
            self.other.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None:
            self.other.transport.close()


class _Accepted(_Leg):
    """The client's side: asks for the upstream as soon as it is there."""

    def __init__(self, upstream_port: int) -> None:
        super().__init__()
        self._port = upstream_port
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        upstream = _Leg()
        upstream.other = self
        await asyncio.get_running_loop().create_connection(lambda: upstream, "127.0.0.1", self._port)
        upstream.transport.write(bytes(self.waiting))
        self.other = upstream


async def relay(port: int, upstream_port: int) -> None:
    """Serve for ever."""
    server = await asyncio.get_running_loop().create_server(lambda: _Accepted(upstream_port), "127.0.0.1", port)
    await server.serve_forever()


def run() -> None:
    """Between the two ports that the command line gives. No benchmark by itself, so `make bench` must not start it."""
    uvloop.run(relay(int(sys.argv[1]), int(sys.argv[2])))
