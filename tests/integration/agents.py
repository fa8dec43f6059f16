"""Agents under load: each action carries a mark of its own; what was answered in full is remembered as acknowledged."""

import asyncio
import base64
import itertools
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import psycopg

from tests.integration.live import Live

TABLE: Final = "chaos_marks"
MARK: Final = re.compile(r"mark-\d+-\d+-end")
MARK_SQL: Final = r"mark-[0-9]+-[0-9]+-end"
AGENTS: Final = 5
PAUSE_S: Final = 0.01
ACTION_TIMEOUT_S: Final = 30.0
CONNECTION_ACTIONS: Final = 40
"""An agent connects anew after so many, so that sessions end in order, too."""


@dataclass
class Ledger:
    """What the agents know: marks that were tried, and those whose answer came whole."""

    tried: set[str] = field(default_factory=set)
    acknowledged: dict[str, str] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)

    def count_by_agent(self) -> list[int]:
        """Answers so far, agent by agent."""
        counts = Counter(int(mark.split("-")[1]) for mark in self.acknowledged)
        return [counts[number] for number in range(1, AGENTS + 1)]

    def has_reached(self, wanted: list[int]) -> bool:
        return all(count >= least for count, least in zip(self.count_by_agent(), wanted, strict=True))

    def fail(self, error: BaseException) -> None:
        state = getattr(error, "sqlstate", None)
        name = f"{type(error).__name__} {state}" if state else type(error).__name__
        self.failures[name] = self.failures.get(name, 0) + 1


class Agent:
    """One agent: `actions` run one after another until it is told to stop; errors make it connect anew."""

    def __init__(self, number: int, ledger: Ledger) -> None:
        self.ledger = ledger
        self.is_stopping = False
        self._marks = (f"mark-{number}-{count}-end" for count in itertools.count(1))
        self._random = random.Random(number)

    async def run(self) -> None:
        while not self.is_stopping:
            try:
                async with self.connect() as actions:
                    for _ in range(CONNECTION_ACTIONS):
                        if self.is_stopping:
                            break
                        await self.act(self._random.choice(actions))
                        await asyncio.sleep(PAUSE_S)
            except (psycopg.Error, httpx.HTTPError, OSError, TimeoutError) as error:
                self.ledger.fail(error)
                await asyncio.sleep(0.1)

    async def act(self, action: Callable[[str], Awaitable[str]]) -> None:
        mark = next(self._marks)
        self.ledger.tried.add(mark)
        async with asyncio.timeout(ACTION_TIMEOUT_S):
            outcome = await action(mark)
        self.ledger.acknowledged[mark] = outcome

    def connect(self) -> Any:
        """A context manager that gives the actions there are: mark -> status that the agent saw."""
        raise NotImplementedError


class SqlAgent(Agent):
    """Reads and writes, simple and extended protocol, some of them failing."""

    def __init__(self, number: int, ledger: Ledger, url: str) -> None:
        super().__init__(number, ledger)
        self._url = url

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[list[Callable[[str], Awaitable[str]]]]:
        connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=15)
        try:
            yield [
                lambda mark: self._read(connection, f"SELECT '{mark}'", None, mark),
                lambda mark: self._read(connection, "SELECT %s::text, repeat('x', 200)", (mark,), mark),
                lambda mark: self._write(connection, f"INSERT INTO {TABLE} (mark) VALUES ('{mark}')", None),
                lambda mark: self._write(connection, f"INSERT INTO {TABLE} (mark) VALUES (%s)", (mark,)),
                lambda mark: self._fail(connection, mark),
                lambda mark: self._copy(connection, mark),
            ]
        finally:
            await connection.close()

    async def _read(self, connection: Any, text: str, values: tuple[str, ...] | None, mark: str) -> str:
        cursor = await connection.execute(text, values)
        assert (await cursor.fetchall())[0][0] == mark
        return "00000"

    async def _write(self, connection: Any, text: str, values: tuple[str, ...] | None) -> str:
        await connection.execute(text, values)
        return "00000"

    async def _fail(self, connection: Any, mark: str) -> str:
        try:
            await connection.execute(f'SELECT 1/0 AS "{mark}"')
        except psycopg.errors.DivisionByZero as error:
            return error.sqlstate or ""
        raise AssertionError("a division by zero was answered")

    async def _copy(self, connection: Any, mark: str) -> str:
        async with connection.cursor() as cursor:
            async with cursor.copy(f"COPY (SELECT '{mark}' FROM generate_series(1, 50)) TO STDOUT") as copy:
                lines = [bytes(line) async for line in copy]
        assert b"".join(lines).count(mark.encode()) == 50
        return "00000"


class HttpAgent(Agent):
    """Reads and writes over keep-alive connections, to a resource's own port or through the regular proxy."""

    def __init__(self, number: int, ledger: Ledger, base: str, login: str, proxy: str | None) -> None:
        super().__init__(number, ledger)
        self._base, self._proxy = base, proxy
        self._headers = {} if proxy else {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[list[Callable[[str], Awaitable[str]]]]:
        async with httpx.AsyncClient(
            base_url=self._base, headers=self._headers, proxy=self._proxy, trust_env=False, timeout=ACTION_TIMEOUT_S
        ) as client:
            yield [
                lambda mark: self._call(client, "GET", f"/customers/1?mark={mark}"),
                lambda mark: self._call(client, "GET", f"/customers/77?mark={mark}"),
                lambda mark: self._call(client, "GET", f"/stream?bytes=200000&mark={mark}", size=200_000),
                lambda mark: self._call(client, "GET", f"/events?count=3&interval_ms=1&mark={mark}"),
                lambda mark: self._call(client, "POST", f"/upload?mark={mark}", content=mark.encode() * 40),
            ]

    async def _call(
        self, client: httpx.AsyncClient, method: str, target: str, content: bytes | None = None, size: int = 0
    ) -> str:
        answer = await client.request(method, target, content=content)
        if answer.status_code in (502, 503):  # Custody itself, or the upstream, was away: the action did not take place
            raise httpx.RemoteProtocolError(f"status {answer.status_code}")
        assert not size or len(answer.content) == size
        return str(answer.status_code)


def make_agents(live: Live, ledger: Ledger) -> list[Agent]:
    """Three for SQL, one for HTTP at the resource's port, one through the regular proxy."""
    issued = live.issue("chaos")
    login = f"{issued.credential.id}:{issued.secret}"
    proxy = f"http://{login}@127.0.0.1:{live.ports.http_proxy}"
    agents: list[Agent] = [SqlAgent(number, ledger, live.postgres_url(issued)) for number in (1, 2, 3)]
    agents.append(HttpAgent(4, ledger, f"http://127.0.0.1:{live.ports.demo_http_proxy}", login, None))
    agents.append(HttpAgent(5, ledger, f"http://127.0.0.1:{live.ports.demo_http}", "", proxy))
    assert len(agents) == AGENTS
    return agents


@asynccontextmanager
async def run_agents(live: Live, ledger: Ledger) -> AsyncIterator[None]:
    """Agents at work for as long as the body runs; at the end each finishes what it is doing."""
    async with await psycopg.AsyncConnection.connect(live.upstream_postgres_url(), autocommit=True) as connection:
        await connection.execute(f"CREATE TABLE {TABLE} (mark text NOT NULL)")
    agents = make_agents(live, ledger)
    async with asyncio.TaskGroup() as group:
        for agent in agents:
            group.create_task(agent.run())
        try:
            yield
        finally:
            for agent in agents:
                agent.is_stopping = True
