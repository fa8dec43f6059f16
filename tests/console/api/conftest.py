"""One running API over the shared broker and a filled store."""

import shutil
from collections.abc import Iterator

import pytest

from schemas.runtime import ENV_HOME, Home
from tests.console.conftest import fill, point_at
from tests.support.api import Api, run_api
from tests.support.homes import connect_home
from tests.support.kafka import Kafka
from tests.support.store import Store, connect_store, run_store


@pytest.fixture(scope="package")
def api(secrets_home: Home, kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """For everything that leaves the process alone. Names of what it writes are the test's own."""
    root = tmp_path_factory.mktemp("api") / "home"
    shutil.copytree(secrets_home.root, root)
    home = Home(root)
    with run_store(tmp_path_factory.mktemp("store")) as store, pytest.MonkeyPatch.context() as patch:
        fill(point_at(store, tmp_path_factory.mktemp("filling"), patch))
        patch.setenv(ENV_HOME, str(root))
        connect_to(home, kafka, store)
        with run_api(home) as running:
            yield running


def connect_to(home: Home, kafka: Kafka, store: Store, **settings: object) -> None:
    connect_home(home, kafka, store={"url": store.url}, ports={"api": 0}, **settings)
    connect_store(home, store)
