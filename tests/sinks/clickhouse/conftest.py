"""Logins of the shared store, and a log of the test's own in it."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from schemas.config import Settings
from schemas.config import Store as StoreSettings
from sinks.clickhouse.client import StoreClient
from tests.support.store import Store


@pytest.fixture
def log_id() -> str:
    return f"log-{uuid4()}"


@pytest.fixture
def connect(store: Store) -> Iterator[Callable[[], StoreClient]]:
    clients: list[StoreClient] = []

    def connect_() -> StoreClient:
        settings = Settings(store=StoreSettings(url=store.url))
        clients.append(StoreClient(settings, store.home, "writer"))
        return clients[-1]

    yield connect_
    for client in clients:
        client.close()
