"""The broker starts, refuses strangers on both listeners, survives kill -9 and leaves nothing behind."""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.embedded.process import LOOPBACK, PortTaken, StackError
from tests.support.kafka import Kafka, make_broker, run_kafka


def processes_of(directory: Path) -> list[list[str]]:
    """Command lines of this process's descendants that name the directory."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(process.cmdline())
    return [line for line in found if str(directory) in " ".join(line)]


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with run_kafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running


STRANGERS = (
    {"security.protocol": "PLAINTEXT"},
    {"sasl.mechanism": "PLAIN", "sasl.username": "controller", "sasl.password": "guess"},
    {"sasl.mechanism": "PLAIN", "sasl.username": "admin", "sasl.password": "guess"},
    {"sasl.mechanism": "SCRAM-SHA-256", "sasl.username": "admin", "sasl.password": "guess"},
)


def test_no_stranger_gets_in_and_no_component_reaches_the_controller(own_kafka: Kafka) -> None:
    broker = own_kafka.broker
    client = {"bootstrap.servers": broker.bootstrap}
    controller = {"bootstrap.servers": f"{LOOPBACK}:{broker.settings.controller_port}"}
    attempts = [
        {"security.protocol": "SASL_PLAINTEXT"} | stranger | address
        for stranger in STRANGERS
        for address in (client, controller)
    ]
    attempts += [
        own_kafka.client_config("api") | controller | {"sasl.mechanism": mechanism}
        for mechanism in ("PLAIN", "SCRAM-SHA-256")
    ]
    assert can_log_in(own_kafka.client_config("api"))
    with ThreadPoolExecutor(len(attempts)) as pool:
        assert not any(pool.map(can_log_in, attempts))


def can_log_in(config: dict[str, str]) -> bool:
    try:
        AdminClient(config | {"log_level": 0}).list_topics(timeout=3)
    except KafkaException:
        return False
    return True


def test_no_secret_where_others_can_read_it(own_kafka: Kafka) -> None:
    broker = own_kafka.broker
    assert broker.child is not None
    shown = " ".join(psutil.Process(broker.child.pid).cmdline()) + repr(broker.settings)
    logged = broker.settings.log_path.read_text()
    for password in own_kafka.passwords.values():
        assert password not in shown
        assert password not in logged
    assert stat.S_IMODE(broker.settings.home.stat().st_mode) == 0o700
    assert stat.S_IMODE((broker.settings.home / "server.properties").stat().st_mode) == 0o600
    for path in broker.data_dir.rglob("*"):
        assert not path.stat().st_mode & 0o077, path
    assert not list(broker.settings.home.glob("format.*"))


def test_kill_9_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    broker = make_broker(tmp_path, can_delete_topics=False)
    # What an interrupted format may have left does not count as data.
    (broker.data_dir / "half").mkdir(parents=True)
    try:
        broker.start()
        assert not (broker.data_dir / "half").exists()
        admin = AdminClient(broker.client_config("admin") | {"log_level": 0})
        admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(20)
        with pytest.raises(KafkaException, match=r"TOPIC_DELETION_DISABLED|deletion is disabled"):
            admin.delete_topics(["kept"])["kept"].result(20)
        producer = Producer(broker.client_config("admin") | {"acks": "all", "log_level": 0})
        for number in range(1000):
            producer.produce("kept", str(number).encode(), partition=0)
        assert producer.flush(20) == 0
        broker.kill()
        broker.start()
        assert read_all(broker.client_config("admin"), "kept") == [str(number).encode() for number in range(1000)]
    finally:
        broker.stop()


def read_all(config: dict[str, str], topic: str) -> list[bytes]:
    consumer = Consumer(config | {"group.id": "test", "auto.offset.reset": "earliest", "log_level": 0})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        _, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)
        return [message.value() for message in consumer.consume(high, timeout=20)]
    finally:
        consumer.close()


@pytest.mark.parametrize("which", ["port", "controller_port"])
def test_a_taken_port_is_named(tmp_path: Path, which: str) -> None:
    broker = make_broker(tmp_path)
    port = getattr(broker.settings, which)
    with socket.create_server((LOOPBACK, port)):
        with pytest.raises(PortTaken, match=f"kafka.*: port {port} on 127.0.0.1 is taken by process {os.getpid()}"):
            broker.start()
    assert processes_of(tmp_path) == []
    assert not broker.settings.home.exists()


def test_a_failed_start_says_why_and_leaves_no_process(tmp_path: Path) -> None:
    broker = make_broker(tmp_path)
    broker.data_dir.mkdir(parents=True)
    (broker.data_dir / "meta.properties").write_text("version=1\ncluster.id=x\nnode.id=77\n")
    with pytest.raises(StackError, match=r"kafka exited with 1: .*kafka.log"):
        broker.start()
    assert processes_of(tmp_path) == []
    assert broker.child is None
