"""The command over a broker that is prepared already. What it creates is in ../test_kafka.py."""

import io

import pytest

from deploy.embedded.broker import ADMIN
from schemas.runtime import Home
from tests.console.conftest import Run
from tests.support.homes import connect_home
from tests.support.kafka import Kafka


def test_a_prepared_cluster_is_said_to_be_one(
    custody: Run, bare_home: Home, own_kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_home(bare_home, own_kafka)
    arguments = ("kafka", "apply", "--admin", ADMIN, "--no-logins")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    missing = custody(*arguments)
    assert missing.code == 2 and "expected on standard input" in missing.err
    monkeypatch.setattr("sys.stdin", io.StringIO("wrong\n"))
    wrong = custody(*arguments)
    assert wrong.code == 2 and "wrong" not in wrong.err
    monkeypatch.setattr("sys.stdin", io.StringIO(own_kafka.passwords[ADMIN] + "\n"))
    done = custody(*arguments)
    assert done.code == 0, done.err
    assert "logins set: 0; ACLs created: 0" in done.out and "topics created: none" in done.out
    assert own_kafka.passwords[ADMIN] not in done.out + done.err
