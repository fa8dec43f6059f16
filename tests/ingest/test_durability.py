"""A proxy's broker against a real one: what the topic promises, what the settings promise, and nobody there."""

import asyncio

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from ingest.durability import find_weakness, watch_durability
from schemas.config import Kafka as KafkaSettings
from schemas.config import Settings
from schemas.errors import ConfigError, Unreachable
from schemas.runtime import Home
from schemas.topics import RAW
from tests.support.kafka import Kafka
from tests.support.ports import get_free_port


def settings_of(kafka: Kafka, **values: int) -> Settings:
    return Settings(kafka=KafkaSettings(bootstrap=kafka.bootstrap, **values))  # type: ignore[arg-type]


def set_raw(admin: AdminClient, name: str, value: str) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, RAW, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(20)


def test_what_is_promised_and_kept(home: Home, kafka: Kafka) -> None:
    assert find_weakness(settings_of(kafka), home) == ""
    assert "1 replicas; kafka.replication promises 3" in find_weakness(settings_of(kafka, replication=3), home)
    assert "satisfied with 1; kafka.min_insync_replicas promises 2" in find_weakness(
        settings_of(kafka, min_insync_replicas=2), home
    )
    set_raw(kafka.admin(), "min.insync.replicas", "2")
    try:
        assert find_weakness(settings_of(kafka, min_insync_replicas=2), home) == ""
    finally:
        set_raw(kafka.admin(), "min.insync.replicas", "1")


async def test_a_broken_promise_ends_the_proxy(home: Home, kafka: Kafka) -> None:
    stopped = asyncio.Event()
    await watch_durability(settings_of(kafka), home, stopped)
    assert not stopped.is_set()
    with pytest.raises(ConfigError, match="replicas"):
        await watch_durability(settings_of(kafka, replication=2), home, stopped)
    assert stopped.is_set()


async def test_an_absent_broker_is_asked_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schemas.wire.kafka.TIMEOUT_S", 0.5)
    monkeypatch.setattr("ingest.durability.ASK_AGAIN_S", 0.01)
    absent = Settings(kafka=KafkaSettings(bootstrap=f"127.0.0.1:{get_free_port()}"))
    with pytest.raises(Unreachable):
        find_weakness(absent, home)
    stopped = asyncio.Event()
    watch = asyncio.create_task(watch_durability(absent, home, stopped))
    await asyncio.sleep(1.2)
    assert not watch.done() and not stopped.is_set()
    watch.cancel()
