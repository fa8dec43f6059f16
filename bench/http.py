"""Requests per second of wrk over keep-alive connections: direct, through a bare mitmdump, through Custody.

Both proxies run in reverse mode in front of the same upstream, one after the other, in alternating rounds, so that
a busy moment of the machine hits both; the medians are compared. Custody runs with the complete gate and a real broker.
Custody uses uvloop; mitmdump is as it is shipped.
"""

import asyncio
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvloop

from bench.results import record
from bench.servers import bench_home
from deploy.embedded.process import is_listening
from tests.support.kafka import run_kafka
from tests.support.ports import get_free_port
from tests.support.proxies import issue_credential, run_proxy

ROOT = Path(__file__).parents[1]
CONNECTIONS = 16
BODY = b'{"id": 1, "name": "Ada Example", "balance_cents": 125000, "orders": [1, 2, 3]}'


class Upstream(asyncio.Protocol):
    """Answers every request head with the same small JSON document."""

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(self.ANSWER * data.count(b"\r\n\r\n"))  # type: ignore[attr-defined]


async def serve_upstream(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port)
    await server.serve_forever()


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def wrk(port: int, seconds: int, *headers: str) -> float:
    """Requests per second; every answer must be a 2xx."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *(f"-H{header}" for header in headers)]
    output = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/customers/1"], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    if "Non-2xx" in output:
        raise SystemExit(f"answers were not 200: {output}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if found is None:
        raise SystemExit(f"wrk did not say: {output}")
    return float(found[1])


def wait_listening(port: int) -> None:
    deadline = time.monotonic() + 30
    while not is_listening(port):
        if time.monotonic() > deadline:
            raise SystemExit(f"nothing listens on {port}")
        time.sleep(0.1)


def main(rounds: int = 3, seconds: int = 5) -> None:
    """Measure and record."""
    upstream, bare = get_free_port(), get_free_port()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(running(sys.executable, "-m", "bench.http", "upstream", str(upstream)))
        mitmdump = str(Path(sys.executable).with_name("mitmdump"))
        mode = f"reverse:http://127.0.0.1:{upstream}"
        options = ["-q", "--mode", mode, "-p", str(bare), "--set", f"confdir={directory / 'mitmproxy'}"]
        stack.enter_context(running(mitmdump, *options))
        kafka = stack.enter_context(run_kafka(directory, is_brief=False))
        home = bench_home(directory / "home", kafka, ports={"http_proxy": 0})
        proxy = stack.enter_context(run_proxy(home, "ingest.http", "proxy-http"))
        login = issue_credential(home, proxy.writer)
        port = proxy.register("bench", "http", {"host": "127.0.0.1", "port": upstream}).listen
        bearer = f"Authorization: Bearer {login.id}.{login.secret}"
        wait_listening(upstream)
        wait_listening(bare)
        wrk(bare, 1)
        wrk(port, 1, bearer)
        # The ratio is taken within each round, where both saw the same machine.
        pairs = [(wrk(bare, seconds), wrk(port, seconds, bearer)) for _ in range(rounds)]
        direct = wrk(upstream, min(seconds, 3))
    record("http.direct", direct, "requests/s")
    record("http.mitmdump", statistics.median(plain for plain, _ in pairs), "requests/s")
    ratio = statistics.median(captured / plain for plain, captured in pairs)
    record("http.custody", statistics.median(captured for _, captured in pairs), "requests/s", "http.mitmdump", ratio)


if __name__ == "__main__":
    if sys.argv[1:2] == ["upstream"]:
        uvloop.run(serve_upstream(int(sys.argv[2])))
    else:
        main(*(int(argument) for argument in sys.argv[1:]))
