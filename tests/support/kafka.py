"""One real broker for the whole test run, with every component's login, ACLs and topics."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from deploy.embedded.broker import ADMIN, Broker, BrokerSettings
from deploy.embedded.topics import apply_topics, apply_topology
from schemas.topics import COMPONENTS, TOPICS
from tests.support.ports import get_free_port


@dataclass(frozen=True)
class Kafka:
    """A running broker."""

    broker: Broker

    @property
    def bootstrap(self) -> str:
        return self.broker.bootstrap

    @property
    def passwords(self) -> dict[str, str]:
        """Component -> password, `admin` included."""
        return dict(self.broker.settings.passwords)

    def client_config(self, component: str = ADMIN) -> dict[str, str]:
        """librdkafka settings with which `component` logs in."""
        return self.broker.client_config(component)

    def reset_topics(self) -> None:
        """Every topic empty and new (another topic id), for tests that need the log from its beginning."""
        admin = self.admin()
        names = [topic.name for topic in TOPICS]
        for future in admin.delete_topics(names).values():
            future.result(30)
        while set(names) & set(admin.list_topics(timeout=30).topics):
            time.sleep(0.05)
        apply_topics(admin)

    def admin(self) -> AdminClient:
        return AdminClient({**self.client_config(), "log_level": "0"})


def make_passwords() -> dict[str, str]:
    return {component: secrets.token_urlsafe(24) for component in (ADMIN, *COMPONENTS)}


def make_broker(directory: Path, **changes: object) -> Broker:
    """A broker that is not started, on free ports. Tests may delete topics, which the product does not allow."""
    values: dict[str, object] = {
        "home": directory / "kafka",
        "port": get_free_port(),
        "controller_port": get_free_port(),
        "passwords": make_passwords(),
        "log_path": directory / "kafka.log",
        "can_delete_topics": True,
        "is_brief": True,
    }
    return Broker(BrokerSettings(**{**values, **changes}))  # type: ignore[arg-type]


@contextmanager
def run_kafka(directory: Path, **changes: object) -> Iterator[Kafka]:
    """A broker with logins, ACLs and topics, stopped at the end."""
    broker = make_broker(directory, **changes)
    try:
        broker.start()
        running = Kafka(broker)
        apply_topology(running.admin(), running.passwords)
        yield running
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """The shared broker: use topics or keys of your own where other tests' records would disturb."""
    with run_kafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[Kafka]:
    """A broker of the test's own, to stop and kill: about five seconds, so use `kafka` where that does."""
    with run_kafka(tmp_path) as running:
        yield running
