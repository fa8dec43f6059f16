"""What inline masking adds to a 1 KB result: the same request on a masked and an unmasked resource, in turn.

`python -m bench.inline [PAIRS]`; with an argument it is a quick look that records nothing.

Entries: inline.{postgres,http}.{clean,hits}.{unmasked,masked,added}, milliseconds, medians; `added` is the median of
the differences within each pair, so a busy moment of the machine hits both legs. clean: nothing in it is a secret.
hits: three values of it are (an e-mail address, a card number, an API key). Both legs have the complete gate and a real
broker, and run as the proxies do. A masked result is checked to be one.
"""

import asyncio
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import psycopg
import uvloop

from bench.http import running, wait_listening
from bench.results import record
from bench.servers import bench_home
from deploy.embedded.process import get_free_port
from schemas.runtime import write_private
from tests.support.kafka import run_kafka
from tests.support.postgres import run_postgres
from tests.support.proxies import Login, issue_credential, run_proxy

LEGS: Final = ("unmasked", "masked")
KINDS: Final = ("clean", "hits")
POLICY: Final = """
permit (principal, action, resource);
@mask permit (principal, action, resource in Label::"leg=masked");
"""
WARM_UP: Final = 100
ROWS: Final = [
    {"id": n, "name": f"Customer Example {n}", "city": "Springfield", "balance_cents": 125_000 + n, "open": True}
    for n in range(10)
]
SECRETS: Final = {
    2: ("name", "ada@example.com"),
    5: ("city", "4111111111111111"),
    8: ("name", "AKIA" + "Q3VWXNPLE7PLAN2B"),
}


def make_rows(kind: str) -> list[dict[str, Any]]:
    """About 1 KB as JSON; `hits` has three secrets among its values."""
    rows = [dict(row) for row in ROWS]
    if kind == "hits":
        for index, (column, value) in SECRETS.items():
            rows[index][column] = value
    return rows


class Upstream(asyncio.Protocol):
    """Answers GET /clean and GET /hits."""

    BODIES: Final = {kind.encode(): json.dumps(make_rows(kind)).encode() for kind in KINDS}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        body = self.BODIES[data[5:].split(b" ", 1)[0]]
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.transport.write(head + body)  # type: ignore[attr-defined]


async def serve_upstream(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port)
    await server.serve_forever()


def ask_http(port: int, login: Login, kind: str) -> Callable[[], str]:
    """A request on a kept connection; it gives the answer's text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {login.id}.{login.secret}"}

    def ask() -> str:
        connection.request("GET", f"/{kind}", headers=headers)
        return connection.getresponse().read().decode()

    return ask


def ask_postgres(port: int, login: Login, kind: str) -> Callable[[], str]:
    """A prepared statement on a kept connection; it gives the rows as text."""
    connection = psycopg.connect(
        f"postgresql://{login.id}:{login.secret}@127.0.0.1:{port}/?sslmode=disable", autocommit=True
    )
    sql = f"SELECT id, name, city, balance_cents, open FROM {kind} ORDER BY id"

    def ask() -> str:
        return str(connection.execute(sql, prepare=True).fetchall())  # type: ignore[call-overload]

    return ask


def measure(asks: dict[str, Callable[[], str]], kind: str, pairs: int) -> dict[str, float]:
    """Medians in ms of both legs, and of what the masked one took longer in each pair."""
    secrets = [value for _, value in SECRETS.values()]
    for leg, ask in asks.items():
        text = ask()
        shown = [secret for secret in secrets if secret in text]
        expected = secrets if (kind, leg) == ("hits", "unmasked") else []
        assert shown == expected, (kind, leg, shown)
        for _ in range(WARM_UP):
            ask()
    took: dict[str, list[float]] = {leg: [] for leg in LEGS}
    for number in range(pairs):
        for leg in LEGS if number % 2 else reversed(LEGS):
            began = time.perf_counter()
            asks[leg]()
            took[leg].append((time.perf_counter() - began) * 1000)
    added = [masked - plain for plain, masked in zip(took["unmasked"], took["masked"], strict=True)]
    return {leg: statistics.median(times) for leg, times in took.items()} | {"added": statistics.median(added)}


def report(protocol: str, kind: str, found: dict[str, float], *, is_quick: bool) -> None:
    for leg, value in found.items():
        name = f"inline.{protocol}.{kind}.{leg}"
        if is_quick:
            print(f"{name}: {value:.3f} ms")
        elif leg == "masked":
            record(name, value, "ms", f"inline.{protocol}.{kind}.unmasked", value / found["unmasked"])
        else:
            record(name, value, "ms")


def main(pairs: int = 2000, *, is_quick: bool = False) -> None:
    """Measure, then record or print."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="custody-bench-")))
        directory.chmod(0o755)
        server = stack.enter_context(run_postgres(directory))
        with server.connect() as connection:
            for kind in KINDS:
                connection.execute(
                    f"CREATE TABLE {kind}(id int, name text, city text, balance_cents bigint, open bool)"
                )  # type: ignore[arg-type]
                for row in make_rows(kind):
                    connection.execute(f"INSERT INTO {kind} VALUES (%s, %s, %s, %s, %s)", tuple(row.values()))  # type: ignore[arg-type]
        api = get_free_port()
        stack.enter_context(running(sys.executable, "-m", "bench.inline", "upstream", str(api)))
        kafka = stack.enter_context(run_kafka(directory))
        policy = directory / "policy.cedar"
        policy.write_text(POLICY)
        home = bench_home(directory / "home", kafka, ports={"http_proxy": 0}, policy_file=str(policy))
        write_private(home.secrets / "pg.password", server.password.encode())
        wait_listening(api)
        upstreams: dict[str, dict[str, object]] = {
            "postgres": {"host": server.host, "port": server.port, "user": server.user, "database": server.database},
            "http": {"host": "127.0.0.1", "port": api},
        }
        upstreams["postgres"]["secret"] = "file:pg.password"
        modules = {"postgres": ("ingest.tcp", "proxy-tcp"), "http": ("ingest.http", "proxy-http")}
        for protocol, ask in (("postgres", ask_postgres), ("http", ask_http)):
            with run_proxy(home, *modules[protocol]) as proxy:
                login = issue_credential(home, proxy.writer)
                ports = {
                    leg: proxy.register(f"{protocol}-{leg}", protocol, upstreams[protocol], labels={"leg": leg}).listen
                    for leg in LEGS
                }
                for kind in KINDS:
                    asks = {leg: ask(ports[leg], login, kind) for leg in LEGS}
                    report(protocol, kind, measure(asks, kind, pairs), is_quick=is_quick)


if __name__ == "__main__":
    if sys.argv[1:2] == ["upstream"]:
        uvloop.run(serve_upstream(int(sys.argv[2])))
    else:
        main(*(int(argument) for argument in sys.argv[1:]), is_quick=len(sys.argv) > 1)
