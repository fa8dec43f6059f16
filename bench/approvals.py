"""How long a held action takes from a person's decision to its answer, and from the agent's request to the person.

`python -m bench.approvals [ROUNDS]`; with an argument it is a quick look that records nothing.

Entries: approvals.release.{p50,p99}, ms from before the decision is written to control until the agent has the answer
of the database, over PostgreSQL with the complete gate; approvals.visible.{p50,p99}, ms from the agent's request until
who follows the masked log knows of it. One action at a time; broker, masking, proxy, database, agent on one machine.
"""

import secrets
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import psycopg

from bench.results import record
from bench.servers import bench_home
from deploy.embedded.registration import register as register_keys
from schemas.approvals import Decision
from schemas.config import find_settings
from schemas.events import ControlKind
from schemas.runtime import now_us, write_private
from sinks.approvals.follower import Follower
from sinks.approvals.pending import HeldAction
from tests.processors.pipeline import Log
from tests.support.approvals import HOLDS
from tests.support.kafka import run_kafka
from tests.support.postgres import run_postgres
from tests.support.proxies import Proxy, issue_credential, run_proxy

ROUNDS: Final = 500
WARM_UP: Final = 20
GOAL_MS: Final = 250.0


class Agent(threading.Thread):
    """Deletes nothing, again and again; notes when each answer was there."""

    def __init__(self, url: str, rounds: int) -> None:
        super().__init__(daemon=True)
        # Prepared statements would be asked for as they are prepared, too.
        self._connection = psycopg.connect(url, autocommit=True, prepare_threshold=None)
        self._connection.execute("CREATE TABLE t AS SELECT 1 AS a")
        self._rounds = rounds
        self.asked_at = 0.0
        self.answered_at = 0.0
        self.answered = threading.Event()

    def run(self) -> None:
        for number in range(self._rounds):
            self.asked_at = time.perf_counter()
            self._connection.execute("DELETE FROM t WHERE a = %s", (-number,))
            self.answered_at = time.perf_counter()
            self.answered.set()
            while self.answered.is_set():  # until the times were read
                time.sleep(0.001)


def wait_for_one(follower: Follower) -> HeldAction:
    while not (found := follower.poll(1.0)):
        pass
    (held,) = found
    return held


def approve(proxy: Proxy, held: HeldAction) -> None:
    decision = Decision(
        approval_id=held.approval_id,
        session_id=held.session_id,
        digest=held.digest,
        verdict="approve",
        approver="bob@example.test",
        at=now_us(),
    )
    key = f"{held.approval_id}.{secrets.token_hex(4)}"
    proxy.writer.put(ControlKind.APPROVAL, key, decision.model_dump(mode="json"))


def measure(proxy: Proxy, follower: Follower, agent: Agent, rounds: int) -> dict[str, list[float]]:
    """ms of each round but the first ones."""
    took: dict[str, list[float]] = {"visible": [], "release": []}
    for number in range(rounds):
        held = wait_for_one(follower)
        seen = time.perf_counter()
        visible = (seen - agent.asked_at) * 1000
        began = time.perf_counter()
        approve(proxy, held)
        assert agent.answered.wait(60)
        release = (agent.answered_at - began) * 1000
        if number >= WARM_UP:
            took["visible"].append(visible)
            took["release"].append(release)
        agent.answered.clear()
    return took


def report(took: dict[str, list[float]], *, is_quick: bool) -> None:
    for name, values in took.items():
        cuts = statistics.quantiles(values, n=100)
        for label, value in (("p50", cuts[49]), ("p99", cuts[98])):
            entry = f"approvals.{name}.{label}"
            if is_quick:
                print(f"{entry}: {value:.1f} ms")
            elif name == "release":
                record(entry, value, "ms", "required", GOAL_MS / value)
            else:
                record(entry, value, "ms")


def main(rounds: int = ROUNDS, *, is_quick: bool = False) -> None:
    """Measure, then record or print."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="custody-bench-")))
        kafka = stack.enter_context(run_kafka(directory / "kafka", is_brief=False))
        server = stack.enter_context(run_postgres(directory / "postgres"))
        home = bench_home(directory / "home", kafka)
        settings = find_settings(home)
        register_keys(settings, home)
        log = Log(kafka, home)
        stack.callback(log.close)
        log.start("mask")
        write_private(home.secrets / "pg.password", server.password.encode())
        proxy = stack.enter_context(run_proxy(home))
        proxy.writer.put(ControlKind.POLICY, "held", {"cedar": HOLDS})
        upstream = {"host": server.host, "port": server.port, "user": server.user, "secret": "file:pg.password"}
        resource = proxy.register("held", "postgres", upstream | {"database": server.create_database()})
        login = issue_credential(home, proxy.writer)
        url = f"postgresql://{login.id}:{login.secret}@127.0.0.1:{resource.listen}/?sslmode=disable"
        follower = Follower(settings, home, "api", 60)
        stack.callback(follower.close)
        follower.start()
        agent = Agent(url, rounds + WARM_UP)
        agent.start()
        report(measure(proxy, follower, agent, rounds + WARM_UP), is_quick=is_quick)


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:2]), is_quick=len(sys.argv) > 1)
