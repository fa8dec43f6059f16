"""The process: it says when it is ready, ends when it cannot serve, and opens no port."""

import asyncio
from typing import Any

import psutil
from aiokafka import AIOKafkaConsumer
from aiokafka.cluster import ClusterMetadata

from processors import worker
from processors.app import make_app
from schemas import topics
from schemas.config import find_settings
from tests.processors.pipeline import Log, stop
from tests.support.homes import write_settings
from tests.support.ports import get_free_port


def test_wrong_arguments_and_settings_end_it(log: Log) -> None:
    assert worker.main(["nothing"]) == worker.EXIT_CONFIG
    assert worker.main([]) == worker.EXIT_CONFIG
    write_settings(log.home, nonsense=1)
    assert log.launch("retain").wait(30) == worker.EXIT_CONFIG
    assert "nonsense" in log.log_of("retain")


def test_without_a_broker_it_ends(log: Log) -> None:
    write_settings(log.home, kafka={"bootstrap": f"127.0.0.1:{get_free_port()}"})
    assert log.launch("retain").wait(60) == worker.EXIT_UNREACHABLE
    assert "kafka at 127.0.0.1" in log.log_of("retain")


def test_it_listens_nowhere_and_stops_on_a_signal(log: Log) -> None:
    process = log.start("retain")
    connections = psutil.Process(process.pid).net_connections("all")
    assert not [c for c in connections if c.status == psutil.CONN_LISTEN]
    assert log.detail_of("retain")["stages"] == {"retain": [0, 1, 2, 3]}
    assert stop(process) == 0


class BlindAssignor:
    """Faust's, for a leader that does not find the topics at the moment: all get nothing."""

    def __init__(self, assignor: Any) -> None:
        self._assignor = assignor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._assignor, name)

    def assign(self, _cluster: ClusterMetadata, members: Any) -> Any:
        return self._assignor.assign(ClusterMetadata(), members)


async def leave_an_empty_assignment(log: Log) -> None:
    """What a worker leaves that led its group while the broker forgot the topic, and was killed then."""
    settings = find_settings(log.home)
    app = make_app(settings, log.home, "retain")
    member = AIOKafkaConsumer(
        topics.SESSIONS,
        bootstrap_servers=settings.bootstrap(),
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-256",
        sasl_plain_username="retain",
        sasl_plain_password=log.home.read_secret("kafka/retain.password"),
        group_id=app.conf.id,
        group_instance_id=app.conf.consumer_group_instance_id,
        session_timeout_ms=int(app.conf.broker_session_timeout * 1000),
        partition_assignment_strategy=[BlindAssignor(app.assignor)],
    )
    await member.start()
    while member.assignment():  # the seat of whoever sat there before
        member._coordinator.request_rejoin()
        await asyncio.sleep(0.1)
    await member.stop()  # a static member's seat stays


async def test_an_empty_assignment_left_by_a_dead_leader_is_asked_for_again(log: Log) -> None:
    await leave_an_empty_assignment(log)
    process = log.start("retain")
    assert log.detail_of("retain")["stages"] == {"retain": [0, 1, 2, 3]}
    assert stop(process) == 0
