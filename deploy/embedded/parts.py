"""The parts of the embedded stack: one table of what runs, on which ports, after what."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.embedded.broker import ADMIN, Broker, BrokerSettings
from deploy.embedded.postgres import PostgresServer, PostgresSettings
from deploy.embedded.process import StackError, spawn, stop
from deploy.embedded.registration import register
from deploy.embedded.secrets import DEMO_POSTGRES_LOGIN, read_kafka_passwords
from deploy.embedded.topics import apply_topology, configure_topics
from schemas.config import Settings
from schemas.runtime import ENV_HOME, Home, read_run_state

ENV_PART: Final = "CUSTODY_PART"
"""Set in every process of the stack to its part's name, so that a pid found in a run file can be told for ours."""

SETUP_TIMEOUT_S: Final = 60.0
CHECKOUT: Final = Path(__file__).resolve().parents[2]


class Runner(Protocol):
    """One start of a part after another. Its calls block for seconds at most, save `settle`."""

    child: subprocess.Popen[bytes] | None

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process. Raises StackError."""

    def is_ready(self) -> bool:
        """Whether the process serves."""

    def settle(self) -> None:
        """What has to be done once it serves, before others may use it; repeatable. Raises CustodyError."""

    def stop(self) -> None:
        """End the process, if there is one."""


def part_env(home: Home, name: str) -> dict[str, str]:
    """The environment of a part's process. Modules come from here, never from the working directory."""
    return {**os.environ, ENV_HOME: str(home.root), ENV_PART: name, "PYTHONPATH": str(CHECKOUT)}


class ModuleRunner:
    """`python -m MODULE ARGUMENT…`, which says itself in run/<name>.json when it serves.

    `setup` is another module that is run once each time it does.
    """

    def __init__(self, home: Home, name: str, argv: tuple[str, ...], setup: tuple[str, ...] = ()) -> None:
        self.home, self.name, self.argv, self.setup = home, name, argv, setup
        self.child: subprocess.Popen[bytes] | None = None

    def launch(self) -> subprocess.Popen[bytes]:
        self.child = spawn(
            [sys.executable, "-P", "-m", *self.argv],
            log_path=self.home.logs / f"{self.name}.log",
            env=part_env(self.home, self.name),
        )
        return self.child

    def is_ready(self) -> bool:
        state = read_run_state(self.home, self.name)
        return self.child is not None and state is not None and state.is_ready and state.pid == self.child.pid

    def settle(self) -> None:
        if not self.setup:
            return
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", *self.setup],
                env=part_env(self.home, f"{self.name}-setup"),
                capture_output=True,
                text=True,
                timeout=SETUP_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise StackError(f"{self.setup[0]} took more than {SETUP_TIMEOUT_S:.0f} s") from None
        if done.returncode:
            raise StackError(f"{self.setup[0]}: {' '.join(done.stderr.strip().splitlines()[-1:])[:300]}")

    def stop(self) -> None:
        if self.child is not None:
            stop(self.child)
            self.child = None


class KafkaRunner(Broker):
    """The broker, then its logins, ACLs, topics and the first entries of control."""

    def __init__(self, settings: Settings, home: Home) -> None:
        self.all_settings, self.state_home = settings, home
        super().__init__(
            BrokerSettings(
                home=home.root / "kafka",
                port=settings.ports.kafka,
                controller_port=settings.ports.kafka_controller,
                passwords=read_kafka_passwords(home),
                log_path=home.logs / "kafka.log",
                env=part_env(home, "kafka"),
            )
        )

    def settle(self) -> None:
        admin = AdminClient({**self.client_config(ADMIN), "log_level": 0})
        settings = self.all_settings
        topics = configure_topics(
            settings.kafka.partitions, settings.kafka.min_insync_replicas, settings.retention.shortest_days
        )
        try:
            apply_topology(admin, self.settings.passwords, topics, settings.kafka.replication)
        except (KafkaException, TimeoutError) as error:
            raise StackError(f"topics and ACLs could not be applied: {error}") from None
        register(settings, self.state_home)


class PostgresRunner(PostgresServer):
    """The demo's upstream database."""

    def __init__(self, settings: Settings, home: Home) -> None:
        super().__init__(
            PostgresSettings(
                home=home.root / "postgres",
                port=settings.ports.demo_postgres,
                password=home.read_secret(DEMO_POSTGRES_LOGIN),
                log_path=home.logs / "demo-postgres.log",
                env=part_env(home, "demo-postgres"),
            )
        )

    def settle(self) -> None:
        pass


@dataclass(frozen=True)
class Part:
    """`ports` are fields of the settings' `ports`; `needs` names parts that must serve first, if they are wanted."""

    name: str
    make: Callable[[Settings, Home], Runner]
    ports: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    is_wanted: Callable[[Settings], bool] = lambda settings: True


def module_part(
    name: str,
    *argv: str,
    ports: tuple[str, ...] = (),
    needs: tuple[str, ...] = (),
    setup: tuple[str, ...] = (),
    is_wanted: Callable[[Settings], bool] = lambda settings: True,
) -> Part:
    """A part that is `python -m ARGV…`."""
    return Part(name, lambda settings, home: ModuleRunner(home, name, argv, setup), ports, needs, is_wanted)


PARTS: Final = (
    Part("kafka", KafkaRunner, ("kafka", "kafka_controller"), is_wanted=lambda settings: not settings.kafka.bootstrap),
    module_part(
        "store",
        "deploy.embedded.store",
        ports=("store",),
        setup=("sinks.clickhouse.migrate",),
        is_wanted=lambda settings: not settings.store.url,
    ),
    Part("demo-postgres", PostgresRunner, ("demo_postgres",)),
    module_part("demo-http", "deploy.embedded.http_api", ports=("demo_http",)),
    module_part("proxy-tcp", "ingest.tcp", ports=("demo_postgres_proxy",), needs=("kafka",)),
    module_part("proxy-http", "ingest.http", ports=("http_proxy", "demo_http_proxy"), needs=("kafka",)),
    module_part("worker-mask", "processors.worker", "mask", needs=("kafka",)),
    module_part("keyholder", "processors.keyholder", needs=("kafka",)),
    module_part("worker-detect", "processors.worker", "detect", needs=("kafka",)),
    module_part("worker-retain", "processors.worker", "retain", needs=("kafka",)),
    module_part("sink-clickhouse", "sinks.runner", "clickhouse", needs=("kafka", "store")),
    module_part(
        "witness",
        "sinks.transparency.witness_process",
        ports=("witness",),
        is_wanted=lambda settings: not settings.transparency.policy_file,
    ),
    module_part("api", "console.api", ports=("api",), needs=("kafka", "store")),
    module_part("sink-transparency", "sinks.runner", "transparency", needs=("kafka", "store")),
    module_part(
        "sink-siem",
        "sinks.runner",
        "siem-syslog",
        needs=("kafka", "store"),
        is_wanted=lambda settings: bool(settings.siem.syslog.host),
    ),
    module_part(
        "notifier",
        "sinks.approvals.notifier",
        needs=("kafka",),
        is_wanted=lambda settings: bool(settings.approvals.receivers),
    ),
)


def select_parts(settings: Settings, names: tuple[str, ...] = (), parts: tuple[Part, ...] = PARTS) -> tuple[Part, ...]:
    """The parts these settings want, in the table's order; only those in `names`, if there are any."""
    return tuple(part for part in parts if part.is_wanted(settings) and (not names or part.name in names))
