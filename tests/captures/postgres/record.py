"""Records conversations for the codec's tests: clients talk through both start-up legs to a real PostgreSQL.

    python tests/captures/postgres/record.py HOST PORT USER DATABASE     (password in PGPASSWORD)

Writes one .jsonl per conversation: a line per read, `[side, base64]`, from the end of the start-up on. The bytes are
those of the two sockets, so a capture holds what client and server really said, in the order in which they said it.
"""

import asyncio
import base64
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ingest.codecs.base import Closed, Opaque, Piece, Side
from ingest.codecs.postgres import PostgresCodec
from ingest.codecs.postgres_startup import (
    AgentStartup,
    AgentTerms,
    Authenticated,
    CancelRequested,
    CredentialNeeded,
    Password,
    SendTo,
    StartupFailed,
    UpstreamReady,
)
from ingest.codecs.postgres_upstream import UpstreamLogin, UpstreamStartup
from ingest.codecs.postgres_wire import CancelKey, cancel_request

HERE = Path(__file__).parent
PASSWORD = "agent-password"


class Relay:
    """A bare relay: no policy, no records. One capture a connection."""

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        self.host, self.port, self.user, self.password = host, port, user, password
        self.captures: list[list[tuple[str, bytes]]] = []
        self.problems: list[str] = []
        self.keys: dict[CancelKey, CancelKey] = {}
        self.codecs: list[PostgresCodec] = []
        self.method = "scram-sha-256"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: asyncio.StreamWriter | None = None
        try:
            upstream = await self._session(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            self.problems.append(repr(error))
        finally:
            for leg in (writer, upstream):
                if leg is not None:
                    leg.close()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> asyncio.StreamWriter | None:
        terms = AgentTerms(secrets.token_urlsafe(18), secrets.token_bytes(4), b"salt key", method=self.method)
        leg = AgentStartup(terms)
        login = None
        while login is None:
            for step in leg.steps():
                match step:
                    case SendTo(_, data):
                        writer.write(data)
                    case CredentialNeeded():
                        leg.provide(Password(PASSWORD))
                    case Authenticated():
                        login = step
                    case CancelRequested(key):
                        await self._cancel(key)
                        return None
                    case StartupFailed():
                        return None
            steps = leg.steps() if login is None else []
            for step in steps:
                assert isinstance(step, SendTo)
                writer.write(step.data)
            if login is None:
                data = await reader.read(65536)
                if not data:
                    return None
                leg.receive(data)
        up_reader, up_writer = await asyncio.open_connection(self.host, self.port)
        startup = UpstreamStartup(
            UpstreamLogin(
                self.user,
                login.database,
                secrets.token_urlsafe(18),
                CancelKey(secrets.randbits(31), secrets.token_bytes(32)),
                password=self.password,
                parameters=login.parameters,
                protocol=login.protocol,
                agent_protocol=login.protocol,
            )
        )
        steps = startup.begin()
        ready = None
        while True:
            for step in steps:
                match step:
                    case SendTo(side, data):
                        (writer if side is Side.AGENT else up_writer).write(data)
                    case UpstreamReady():
                        ready = step
                    case StartupFailed():
                        return up_writer
            if ready is not None:
                break
            data = await up_reader.read(65536)
            startup.receive(data)
            if not data:
                startup.receive_eof()
            steps = startup.steps()
        if ready.key is not None and ready.agent_key is not None:
            self.keys[ready.agent_key] = ready.key
        await self._relay(reader, writer, up_reader, up_writer, leg.unread(), startup.unread(), ready)
        return up_writer

    async def _cancel(self, key: CancelKey) -> None:
        upstream = self.keys.get(key)
        if upstream is None:
            self.problems.append("unknown cancel key")
            return
        _, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(cancel_request(upstream))
        await writer.drain()
        writer.close()

    async def _relay(self, reader, writer, up_reader, up_writer, from_agent, from_upstream, ready) -> None:  # type: ignore[no-untyped-def]
        capture: list[tuple[str, bytes]] = []
        self.captures.append(capture)
        codec = PostgresCodec(status=ready.status, parameters=ready.parameters)
        self.codecs.append(codec)
        targets = {Side.AGENT: writer, Side.UPSTREAM: up_writer}
        is_closed = False

        def act() -> None:
            nonlocal is_closed
            for step in codec.steps():
                match step:
                    case Piece():
                        if not targets[step.to].is_closing():
                            targets[step.to].write(step.data)
                    case Opaque():
                        self.problems.append(repr(step))
                    case Closed():
                        is_closed = True

        async def pump(side: Side, source: asyncio.StreamReader) -> None:
            while not is_closed:
                data = await source.read(65536)
                if data:
                    capture.append((side.value, data))
                    codec.receive(side, data)
                else:
                    codec.receive_eof(side)
                act()
                await asyncio.gather(*(t.drain() for t in targets.values() if not t.is_closing()))
                if not data:
                    return

        for side, data in ((Side.AGENT, from_agent), (Side.UPSTREAM, from_upstream)):
            if data:
                capture.append((side.value, data))
                codec.receive(side, data)
        act()
        tasks = [
            asyncio.create_task(pump(Side.AGENT, reader)),
            asyncio.create_task(pump(Side.UPSTREAM, up_reader)),
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait(tasks, timeout=0.5)
        for task in tasks:
            task.cancel()


def run_command(*arguments: str, text: str = "") -> Callable[[str], None]:
    def run(url: str) -> None:
        command = [a.replace("URL", url) for a in arguments]
        subprocess.run(command, input=text.encode(), check=False, capture_output=True, timeout=15)

    return run


def main() -> None:
    host, port, user, database = sys.argv[1:5]
    from tests.captures.postgres.scripts import SCRIPTS

    wanted = sys.argv[5:] or list(SCRIPTS)
    for name in wanted:
        captures, problems = asyncio.run(_record(host, int(port), user, database, SCRIPTS[name]))
        if problems:
            print(name, "problems:", problems)
        longest = max(captures, key=lambda c: sum(len(d) for _, d in c))
        lines = [json.dumps([side, base64.b64encode(data).decode()]) for side, data in longest]
        (HERE / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
        print(name, len(captures), "connections,", sum(len(d) for _, d in longest), "bytes")


async def _record(
    host: str, port: int, user: str, database: str, script: Callable[[str], None]
) -> tuple[list[list[tuple[str, bytes]]], list[str]]:
    relay = Relay(host, port, user, os.environ["PGPASSWORD"])
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    listening = server.sockets[0].getsockname()[1]
    url = f"postgresql://agent:{PASSWORD}@127.0.0.1:{listening}/{database}?sslmode=disable"
    try:
        await asyncio.to_thread(script, url)
    finally:
        await asyncio.sleep(0.3)
        server.close()
    return relay.captures, relay.problems


if __name__ == "__main__":
    main()
