"""Framing chosen once for a process, and every stage working with it."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from console.control import find_place
from schemas import topics
from schemas.config import Settings, find_settings
from schemas.errors import Unreachable
from schemas.events import Control, FactBatch
from schemas.runtime import Home
from schemas.wire import framing, kafka
from schemas.wire.registry import TOPIC_OF
from schemas.wire.startup import choose_framing
from sinks.reader import SessionsReader
from tests.processors.pipeline import CARD, ROOT, Log, Proxy, open_log, stop, wait_until
from tests.sinks.batches import Feed, make_batch
from tests.sinks.test_reader import take
from tests.support.homes import write_settings
from tests.support.kafka import Kafka
from tests.support.ports import get_free_port
from tests.support.registry import RegistryServer, run_registry

CONTROL = Control("resource", "db", 1, "{}", "api", b"sig")


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with run_registry() as running:
        yield running
    framing.use_registry(None)


@pytest.fixture
def log(kafka: Kafka, home: Home) -> Iterator[Log]:
    with open_log(kafka, home) as opened:
        yield opened


def settings_of(server: RegistryServer) -> Settings:
    return Settings.model_validate({"schema_registry": {"url": server.url}})


def test_after_the_start_records_need_the_registry_no_more(server: RegistryServer) -> None:
    choose_framing(settings_of(server))
    assert len(server.asked) == sum(len(framing.versions_of(record)) for record in TOPIC_OF)
    server.answer = lambda path: (503, b"")
    asked = len(server.asked)
    framed = framing.encode(CONTROL)
    assert framed[0] == framing.CONFLUENT and framing.decode(framed) == CONTROL
    assert len(server.asked) == asked
    with pytest.raises(Unreachable):
        framing.decode(b"\0\0\0\x03\xe7body")


def test_both_forms_are_read_before_and_after_the_switch(server: RegistryServer) -> None:
    before = framing.encode(CONTROL)
    choose_framing(settings_of(server))
    assert framing.decode(before) == framing.decode(framing.encode(CONTROL)) == CONTROL
    choose_framing(Settings())
    assert framing.encode(CONTROL) == before


def test_a_command_asks_only_when_it_must(server: RegistryServer, bare_home: Home) -> None:
    write_settings(bare_home, schema_registry={"url": server.url})
    find_place()
    assert server.asked == []
    assert framing.encode(CONTROL)[0] == framing.CONFLUENT
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("command", "status"),
    [("ingest.tcp", 2), ("ingest.http", 2), ("processors.worker mask", 4), ("sinks.runner clickhouse", 1)],
)
def test_without_the_registry_a_process_says_so_and_ends(command: str, status: int, bare_home: Home) -> None:
    write_settings(bare_home, schema_registry={"url": f"http://127.0.0.1:{get_free_port()}"})
    process = [sys.executable, "-m", *command.split()]
    done = subprocess.run(process, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == status
    assert "schema registry at 127.0.0.1" in done.stderr.splitlines()[-1]


def test_the_registry_names_a_sealed_batch_of_a_later_version(server: RegistryServer) -> None:
    choose_framing(settings_of(server))
    server.schemas.append('{"type": "record", "name": "SealedBatch", "namespace": "custody.v1", "fields": []}')
    record = b"\0" + len(server.schemas).to_bytes(4, "big") + b"sealed"
    assert framing.unknown_name(record) == "custody.v1.SealedBatch"
    assert framing.unknown_name(framing.encode(CONTROL)) == framing.unknown_name(b"\0\0\0\xff\xffxx") == ""


def test_proxies_mask_detect_and_sinks_work_with_confluent_framing(log: Log, server: RegistryServer) -> None:
    write_settings(log.home, kafka={"bootstrap": log.kafka.bootstrap}, schema_registry={"url": server.url})
    old = Proxy(log.home, "proxy-b")
    old.send(0, "select 0")  # single-object encoding, from before the switch
    choose_framing(find_settings(log.home))
    proxy = Proxy(log.home)
    old.flush()
    for number in range(8):
        proxy.send(number % 4, f"select {number}", f"select '{CARD}'")
    proxy.put(1, b"\0\0\xff\xff\xff of no schema")
    proxy.flush()
    workers = [log.start("mask"), log.start("detect"), log.start("retain")]
    sessions = log.output(topics.SESSIONS)
    taken = log.batches(10, sessions)
    assert all(record[0] == framing.CONFLUENT for record in sessions.raw)
    assert [len(taken[partition]) for partition in range(4)] == [3, 3, 2, 2]
    assert taken[1][2].events[0].event.attributes["reason"] == "undecodable"
    assert CARD.encode() not in b"".join(sessions.raw)
    facts = log.output(topics.FACTS, "detect")
    wait_until(lambda: any(isinstance(record, FactBatch) for _, _, record in facts.poll()))
    assert all(record[0] == framing.CONFLUENT for record in facts.raw)
    reader = SessionsReader(kafka.reader_config(find_settings(log.home), log.home, "sink-clickhouse"), {})
    reader.start()
    try:
        batches = take(reader, 10)
    finally:
        reader.close()
    assert not reader.alarms
    first = next(batch for batch in batches if (batch.partition, batch.offset) == (2, 0))
    assert (
        first.decoded.columns.statements[0] == b"select 2" and CARD.encode() not in first.decoded.columns.statements[1]
    )
    assert [stop(process) for process in workers] == [0, 0, 0]


def test_a_sink_waits_for_the_registry_and_misses_nothing(log: Log, server: RegistryServer) -> None:
    choose_framing(settings_of(server))
    Feed(log.kafka.client_config("mask")).send([make_batch(0, offset) for offset in range(5)])
    choose_framing(settings_of(server), is_lazy=True)  # knows no id yet
    server.answer = lambda path: (503, b"")
    reader = SessionsReader(kafka.reader_config(find_settings(log.home), log.home, "sink-clickhouse"), {})
    reader.start()
    try:
        wait_until(lambda: "schema registry" in reader.waiting)
        server.answer = lambda path: None
        batches = take(reader, 5)
    finally:
        reader.close()
    assert [batch.offset for batch in batches] == [0, 1, 2, 3, 4] and not reader.alarms
