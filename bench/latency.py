"""From an action's end at the agent to its row in ClickHouse, and to a message at the SIEM, at low load.

`python -m bench.latency [ACTIONS [DETECTIONS]]`; with arguments it is a quick look that records nothing.

Row: a statement returns at the agent through the PostgreSQL proxy; how long until the row of its outcome is visible.
SIEM: the tenth failing statement of an agent returns; how long until rsyslog has written the detection. That is the
longest way: proxy, mask, facts, detect, sink, TLS. Actions come at random moments, so no interval of a stage favours
them. A look at the store takes some milliseconds, which are part of the figure.
"""

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import psycopg

from bench.results import record
from bench.stages import SIEM, STAGES, Pipeline, run_pipeline, wait_for
from deploy.embedded.registration import make_keys
from schemas.config import find_settings
from schemas.events import ControlKind
from schemas.resources import Credential
from schemas.runtime import now_us, write_private
from schemas.wire.control import ControlWriter
from schemas.wire.mint import mint_secret
from tests.sinks.siem.receiver import Receiver
from tests.support.homes import write_settings
from tests.support.postgres import run_postgres
from tests.support.proxies import run_proxy

RESOURCE: Final = "latency"
FAILURES: Final = 10  # of denied-burst
MAX_PAUSE_S: Final = 0.4
LOOK_S: Final = 0.015  # more looks would keep the store busy with them

Connect = Callable[[str], psycopg.Connection[Any]]


def measure_rows(pipeline: Pipeline, connect: Connect, actions: int) -> list[float]:
    """Seconds from each statement's end to its outcome's row."""
    client = pipeline.store.client("reader")
    sql = f"SELECT count() FROM custody.events WHERE resource = '{RESOURCE}' AND kind = 'action.completed'"

    def count() -> int:
        return int(client.query(sql).result_rows[0][0])

    took: list[float] = []
    with connect("agent-row") as agent:
        for number in range(actions + 1):
            before = count()
            agent.execute(f"SELECT {number} AS answer")
            ended = time.monotonic()
            wait_for(lambda before=before: count() > before, "a row", every_s=LOOK_S)  # type: ignore[misc]
            took.append(time.monotonic() - ended)
            pause()
    return took[1:]  # the first one also opened the session


def measure_detections(receiver: Receiver, connect: Connect, detections: int) -> list[float]:
    """Seconds from the last failing statement of each of so many agents to the detection at the receiver."""
    took = []
    for number in range(detections):
        name = f"agent-siem-{number}"

        def has_come(name: str = name) -> bool:
            return any(name in message["data"] + message["text"] for message in receiver.messages())

        with connect(name) as agent:
            for _ in range(FAILURES):
                try:
                    agent.execute("SELECT 1 FROM nowhere")
                except psycopg.errors.UndefinedTable:
                    ended = time.monotonic()
            wait_for(has_come, "a detection", every_s=LOOK_S)
            took.append(time.monotonic() - ended)
        pause()
    return took


def pause() -> None:
    time.sleep(random.uniform(0, MAX_PAUSE_S))


def report(name: str, took: list[float], *, is_quick: bool) -> None:
    ranks = {"p50": statistics.median(took), "p99": sorted(took)[min(len(took) - 1, int(len(took) * 0.99))]}
    for rank, seconds in ranks.items():
        if is_quick:
            print(f"latency.{name}.{rank}: {seconds * 1000:.0f} ms")
        else:
            record(f"latency.{name}.{rank}", seconds * 1000, "ms")


def make_connect(pipeline: Pipeline, port: int, writer: ControlWriter) -> Connect:
    """Agents with credentials of their own; an agent's name is what its detections are about."""

    def connect(name: str) -> psycopg.Connection[Any]:
        expires_at = now_us() + 600_000_000
        credential = Credential(
            id=name, principal="ann@example.test", agent=name, resources=[RESOURCE], expires_at=expires_at
        )
        writer.put(ControlKind.CREDENTIAL, name, credential.model_dump())
        secret = mint_secret(pipeline.home.read_key("mint.key"), name, expires_at)
        time.sleep(0.5)  # the proxy reads control at its own pace
        url = f"postgresql://{name}:{secret}@127.0.0.1:{port}/?sslmode=disable"
        return psycopg.connect(url, autocommit=True)

    return connect


def main(actions: int = 100, detections: int = 20, *, is_quick: bool = False) -> None:
    """Measure, then record or print."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="custody-bench-")))
        directory.chmod(0o755)
        receiver = Receiver(directory)
        receiver.start()
        stack.callback(receiver.stop)
        server = stack.enter_context(run_postgres(directory))
        pipeline = stack.enter_context(run_pipeline(directory))
        home, settings = pipeline.home, find_settings(pipeline.home)
        write_settings(
            home,
            kafka={"bootstrap": settings.bootstrap()},
            store={"url": settings.store_url()},
            siem={"syslog": receiver.config().model_dump()},
        )
        write_private(home.secrets / "pg.password", server.password.encode())
        proxy = stack.enter_context(run_proxy(home))
        for (kind, id), key in make_keys(home).items():
            proxy.writer.put(kind, id, key)
        upstream: dict[str, object] = {"host": server.host, "port": server.port, "user": server.user}
        upstream |= {"database": server.database, "secret": "file:pg.password"}
        port = proxy.register(RESOURCE, "postgres", upstream).listen
        pipeline.start(*STAGES, *SIEM)
        connect = make_connect(pipeline, port, proxy.writer)
        report("row", measure_rows(pipeline, connect, actions), is_quick=is_quick)
        report("siem", measure_detections(receiver, connect, detections), is_quick=is_quick)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]), is_quick=len(sys.argv) > 1)
