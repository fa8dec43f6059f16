"""pgbench -S directly, through pgbouncer (session mode), and through Custody ungated and gated, in one run.

Entries: postgres.{direct,pgbouncer,ungated,gated}.{simple,prepared}.{1,4,16}, transactions per second, the median of
several rounds; the ratio is against pgbouncer. Every leg runs once unmeasured before. All legs share two cores with
the server, the broker and the load.

postgres.policy.{simple,prepared}.16 is the gated leg at a proxy whose policy is the starter one; its ratio is against
the gated leg, whose proxy has the default policy. postgres.relay.{simple,prepared}.16 goes through a relay on uvloop
that does nothing else (`bench/bare_relay.py`): as fast as any proxy can be that lives on this loop.
"""

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from bench.results import record
from bench.servers import Bouncer, bench_home, run_bare_relay, run_bouncer
from schemas.runtime import Home, write_private
from tests.support.homes import connect_home
from tests.support.kafka import run_kafka
from tests.support.postgres import Postgres, run_postgres
from tests.support.proxies import issue_credential, run_proxy

CLIENTS = (1, 4, 16)
POLICY = "policy"
RELAY = "relay"
CROWDED = (POLICY, RELAY)
"""Legs that run with most clients only."""
PEERS = {POLICY: "gated"}
POLICED = "127.0.0.2"
"""Two proxies serve the same resources at the same ports, so each has an address of its own."""
PROTOCOLS = ("simple", "prepared")


def pgbench(url: str, protocol: str, clients: int, seconds: int) -> float:
    """Transactions per second of one select-only run."""
    command = ["pgbench", "-S", "-n", "-M", protocol, "-c", str(clients), "-j", "1", "-T", str(seconds), url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=True)
    found = re.search(r"tps = ([\d.]+) \(without", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found[1])


def main(rounds: int = 3, seconds: int = 4) -> None:
    """Run all legs `rounds` times, interleaved, and record the medians."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="custody-bench-")))
        directory.chmod(0o755)
        server: Postgres = stack.enter_context(run_postgres(directory))
        kafka = stack.enter_context(run_kafka(directory, is_brief=False))
        home = bench_home(directory / "home", kafka)
        write_private(home.secrets / "pg.password", server.password.encode())
        upstream = {
            "host": server.host,
            "port": server.port,
            "user": server.user,
            "database": server.database,
            "secret": "file:pg.password",
        }
        proxy = stack.enter_context(run_proxy(home))
        login = issue_credential(home, proxy.writer)
        ports = {
            "ungated": proxy.register("ungated", "postgres", upstream, record="best_effort").listen,
            "gated": proxy.register("gated", "postgres", upstream).listen,
        }
        policed = Home(directory / "policed")
        shutil.copytree(home.root, policed.root, ignore=shutil.ignore_patterns("run", "logs"))
        connect_home(policed, kafka, policy_file="starter", capture={"bind": POLICED})
        other = stack.enter_context(run_proxy(policed))
        other.wait_for(lambda: ports["gated"] in other.ports.values())
        bouncer: Bouncer = stack.enter_context(run_bouncer(directory, server))
        urls = {"direct": server.dsn, "pgbouncer": bouncer.url} | {
            name: f"postgresql://{login.id}:{login.secret}@127.0.0.1:{port}/?sslmode=disable"
            for name, port in ports.items()
        }
        urls[POLICY] = urls["gated"].replace("127.0.0.1", POLICED)
        urls[RELAY] = stack.enter_context(run_bare_relay(server))
        subprocess.run(["pgbench", "-iq", "-s", "5", server.dsn], check=True, capture_output=True)
        for url in urls.values():  # a new broker compiles its own code for some seconds, a new server reads its tables
            pgbench(url, "prepared", CLIENTS[-1], seconds)
        measure(urls, rounds, seconds)


def measure(urls: dict[str, str], rounds: int, seconds: int) -> None:
    """Interleave the legs, so that a noisy minute hits all of them."""
    found: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for number in range(rounds):
        for protocol in PROTOCOLS:
            for clients in CLIENTS:
                legs = [name for name in urls if name not in CROWDED or clients == CLIENTS[-1]]
                for name in legs:
                    found[name, protocol, clients].append(pgbench(urls[name], protocol, clients, seconds))
                print(
                    f"round {number + 1} {protocol} {clients}:",
                    *(f"{n} {found[n, protocol, clients][-1]:.0f}" for n in legs),
                )
    for (name, protocol, clients), values in found.items():
        against = PEERS.get(name, "pgbouncer")
        peer = found[against, protocol, clients]
        # The ratio is taken within each round, where both legs saw the same machine.
        ratio = statistics.median(value / other for value, other in zip(values, peer, strict=True))
        record(f"postgres.{name}.{protocol}.{clients}", statistics.median(values), "tps", against, ratio)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
