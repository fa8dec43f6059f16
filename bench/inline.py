"""What inline masking adds to a 1 KB result: the same request on a masked and an unmasked resource, in turn.

`python -m bench.inline [PAIRS]`; with an argument it is a quick look that records nothing.

Entries: inline.{postgres,http}.{clean,hits,fresh}.{unmasked,masked,added}, milliseconds, medians; `added` is the median
of the differences within each pair, so a busy moment of the machine hits both legs. clean: nothing in it is a secret.
hits: three values of it are (an e-mail address, a card number, an API key), the same each time, as when an agent reads
rows again. new and mixed: the same two, but each row has a number that was never there before, so that the result is
another each time. fresh: three other secrets each time. Both legs have the complete gate and a real broker, and run as
the proxies do. A masked result is checked to be one.
"""

import asyncio
import http.client
import json
import statistics
import sys
import tempfile
import time
from base64 import b32encode
from collections.abc import Callable
from contextlib import ExitStack
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, Final

import psycopg
import uvloop

from bench.http import running, wait_listening
from bench.results import record
from bench.servers import bench_home
from masking.cards import has_luhn_checksum
from schemas.runtime import write_private
from tests.support.kafka import run_kafka
from tests.support.ports import get_free_port
from tests.support.postgres import run_postgres
from tests.support.proxies import Login, issue_credential, run_proxy

LEGS: Final = ("unmasked", "masked")
KINDS: Final = ("clean", "hits", "new", "mixed", "fresh")
TABLES: Final = {"clean": "clean", "hits": "hits", "new": "clean", "mixed": "hits", "fresh": "clean"}
CHANGING: Final = ("new", "mixed")
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


_numbers = count()
_results = count(1)


def make_secrets(kind: str) -> list[str]:
    """The secrets of a result, in the order of SECRETS."""
    if kind in ("clean", "new"):
        return []
    if kind in ("hits", "mixed"):
        return [value for _, value in SECRETS.values()]
    number = next(_numbers)
    body = f"4111{number:011d}"
    check = next(digit for digit in "0123456789" if has_luhn_checksum(body + digit))
    key = b32encode(sha256(b"%d" % number).digest()).decode()[:16]
    return [f"ada.{number}@example.com", body + check, "AKIA" + key]


def number_result(kind: str) -> int:
    """What is added to a number of each row: another each time when the result is to be another."""
    return next(_results) if kind in CHANGING else 0


def make_rows(kind: str, secrets: list[str] | None = None, number: int = 0) -> list[dict[str, Any]]:
    """About 1 KB as JSON, with the secrets, by default of the kind, among its values."""
    rows = [row | {"balance_cents": 125_000 + n + number} for n, row in enumerate(ROWS)]
    for (index, (column, _)), value in zip(
        SECRETS.items(), secrets if secrets is not None else make_secrets(kind), strict=False
    ):
        rows[index][column] = value
    return rows


class Upstream(asyncio.Protocol):
    """Answers GET /KIND with rows of the kind, the number and the secrets of two headers."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        lines = dict(line.partition(b": ")[::2] for line in data.split(b"\r\n"))
        fields = {name.lower(): value.decode() for name, value in lines.items()}
        kind = data[5:].split(b" ", 1)[0].decode()
        secrets = fields.get(b"x-secrets", "")
        rows = make_rows(kind, secrets.split(",") if secrets else [], int(fields[b"x-number"]))
        body = json.dumps(rows).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        self.transport.write(head + body)  # type: ignore[attr-defined]


async def serve_upstream(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port)
    await server.serve_forever()


Ask = Callable[[list[str], int], str]


def ask_http(port: int, login: Login, kind: str) -> Ask:
    """A request on a kept connection; it gives the answer's text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {login.id}.{login.secret}"}

    def ask(secrets: list[str], number: int) -> str:
        told = {"X-Number": str(number), **({"X-Secrets": ",".join(secrets)} if secrets else {})}
        connection.request("GET", f"/{kind}", headers=headers | told)
        return connection.getresponse().read().decode()

    return ask


def ask_postgres(port: int, login: Login, kind: str) -> Ask:
    """A prepared statement on a kept connection; it gives the rows as text."""
    connection = psycopg.connect(
        f"postgresql://{login.id}:{login.secret}@127.0.0.1:{port}/?sslmode=disable", autocommit=True
    )
    columns = "id, name, city, balance_cents, open"
    if kind in CHANGING:
        columns = "id, name, city, balance_cents + %s AS balance_cents, open"
    if kind == "fresh":
        columns = (
            "id, CASE id WHEN 2 THEN %s WHEN 8 THEN %s ELSE name END AS name, "
            "CASE id WHEN 5 THEN %s ELSE city END AS city, balance_cents, open"
        )
    sql = f"SELECT {columns} FROM {TABLES[kind]} ORDER BY id"

    def ask(secrets: list[str], number: int) -> str:
        values: list[object] | None = [number] if kind in CHANGING else None
        if kind == "fresh":
            values = [secrets[0], secrets[2], secrets[1]]
        return str(connection.execute(sql, values, prepare=True).fetchall())  # type: ignore[call-overload]

    return ask


def check(ask: Ask, kind: str, leg: str) -> None:
    """A masked result shows no secret, an unmasked one all."""
    secrets = make_secrets(kind)
    text = ask(secrets, number_result(kind))
    assert [secret in text for secret in secrets] == [leg == "unmasked"] * len(secrets), (kind, leg)


def measure(asks: dict[str, Ask], kind: str, pairs: int) -> dict[str, float]:
    """Medians in ms of both legs, and of what the masked one took longer in each pair."""
    for leg, ask in asks.items():
        for _ in range(WARM_UP):
            check(ask, kind, leg)
    took: dict[str, list[float]] = {leg: [] for leg in LEGS}
    for number in range(pairs):
        for leg in LEGS if number % 2 else reversed(LEGS):
            secrets, result = make_secrets(kind), number_result(kind)
            began = time.perf_counter()
            asks[leg](secrets, result)
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
            for kind in sorted(set(TABLES.values())):
                connection.execute(
                    f"CREATE TABLE {kind}(id int, name text, city text, balance_cents bigint, open bool)"
                )  # type: ignore[arg-type]
                for row in make_rows(kind):
                    connection.execute(f"INSERT INTO {kind} VALUES (%s, %s, %s, %s, %s)", tuple(row.values()))  # type: ignore[arg-type]
        api = get_free_port()
        stack.enter_context(running(sys.executable, "-m", "bench.inline", "upstream", str(api)))
        kafka = stack.enter_context(run_kafka(directory, is_brief=False))
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
