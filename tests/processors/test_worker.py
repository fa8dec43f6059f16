"""The process: it says when it is ready, ends when it cannot serve, and opens no port."""

import psutil

from deploy.embedded.process import get_free_port
from processors import worker
from tests.processors.pipeline import Log, stop
from tests.support.homes import write_settings


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
