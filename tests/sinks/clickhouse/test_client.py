import pytest

from schemas.config import Settings
from schemas.config import Store as StoreSettings
from schemas.errors import Unreachable
from sinks.clickhouse.client import StoreClient, sent_as
from tests.support.store import Store


def test_an_absent_store_is_unreachable(store: Store) -> None:
    client = StoreClient(Settings(store=StoreSettings(url="http://127.0.0.1:9")), store.home, "writer")
    with pytest.raises(Unreachable, match="store"):
        client.query("SELECT 1")


def test_dictionaries_are_left_to_the_store() -> None:
    assert sent_as("LowCardinality(String)") == "String"
    assert sent_as("Map(LowCardinality(String), String)") == "Map(String, String)"
    assert sent_as("Array(Nullable(String))") == "Array(Nullable(String))"
