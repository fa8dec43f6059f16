"""`custody approvals` with a real proxy, masking processor and database: from the question to the answer."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from deploy.embedded.registration import register as register_keys
from schemas.config import find_settings
from schemas.runtime import Home
from tests.console.conftest import Run
from tests.ingest.test_held_sessions import Client
from tests.ingest.test_postgres import register
from tests.processors.pipeline import Log
from tests.support.approvals import HOLDS, policy_in_force
from tests.support.kafka import Kafka
from tests.support.postgres import Postgres
from tests.support.proxies import Proxy, issue_credential, run_proxy

DUAL = HOLDS.replace("deletions wait", "deletions wait; approvers=2; within=300")
CARD = "4111 1111 1111 1111"


@dataclass
class Desk:
    """A proxy with a held resource, and an agent on it."""

    proxy: Proxy
    client: Client
    custody: Run

    def waiting(self) -> list[dict[str, object]]:
        answer = self.custody("approvals", "list", "--json")
        assert answer.code == 0, answer.err
        return [json.loads(line) for line in answer.out.splitlines()]

    def wait(self) -> dict[str, object]:
        """The one action that waits."""
        deadline = time.monotonic() + 60
        while not (found := self.waiting()):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        (held,) = found
        return held


@pytest.fixture
def desk(home: Home, kafka: Kafka, postgres_server: Postgres, custody: Run) -> Iterator[Desk]:
    kafka.reset_topics()
    register_keys(find_settings(home), home)
    log = Log(kafka, home)
    try:
        log.start("mask")
        with run_proxy(home) as proxy, policy_in_force(proxy, HOLDS):
            port = register(proxy, postgres_server, "desk")
            client = Client(port, issue_credential(home, proxy.writer, "desk-agent"))
            client.connection.execute("CREATE TABLE t AS SELECT '1'::text AS a")
            yield Desk(proxy, client, custody)
            client.connection.close()
    finally:
        log.close()


def test_list_approve_deny(desk: Desk) -> None:
    assert desk.custody("approvals", "list").out == "nothing waits\n"
    asked = desk.client.execute("DELETE FROM t WHERE a = %s", CARD)
    held = desk.wait()
    assert (held["principal"], held["agent"], held["reason"]) == ("ann@example.test", "planner/1.0", "deletions wait")
    assert held["objects"] == ["delete t", "read t"] or held["objects"] == ["delete t"]
    shown = desk.custody("approvals", "list").out
    assert "DELETE FROM t WHERE a = $1" in shown and "payment_card" in shown
    assert "4111" not in shown and "4111" not in json.dumps(held)

    id = str(held["approval_id"])
    own = desk.custody("approvals", "approve", id, "--as", "ann@example.test")
    assert (own.code, "of their own" in own.out) == (1, True)
    assert asked.is_alive()
    done = desk.custody("approvals", "approve", id[:6], "--as", "bob@example.test", "--reason", "fine", "--json")
    assert (done.code, json.loads(done.out)["status"]) == (0, "approved")
    asked.wait()
    assert asked.error is None
    again = desk.custody("approvals", "approve", id, "--as", "eve@example.test")
    assert (again.code, again.err) == (2, f"custody: approval {id} is over: approved by bob@example.test\n")

    asked = desk.client.execute("DELETE FROM t")
    id = str(desk.wait()["approval_id"])
    denied = desk.custody("approvals", "deny", id, "--reason", "not now", "--as", "bob@example.test")
    assert (denied.code, denied.out.startswith(f"{id} denied after")) == (0, True)
    asked.wait()
    assert "not now" in str(asked.error)

    with policy_in_force(desk.proxy, DUAL):
        check_two_people(desk)


def check_two_people(desk: Desk) -> None:
    asked = desk.client.execute("DELETE FROM t WHERE a = 'x'")
    held = desk.wait()
    id = str(held["approval_id"])
    assert held["approvers"] == 2
    first = desk.custody("approvals", "approve", id, "--as", "bob@example.test", "--for", "5m")
    assert (first.code, first.out) == (0, f"{id} counted: 1 of 2\n")
    assert "(1 of 2 people)" in desk.custody("approvals", "list").out
    twice = desk.custody("approvals", "approve", id, "--as", "bob@example.test")
    assert (twice.code, "approved it already" in twice.out) == (1, True)
    assert desk.custody("approvals", "approve", id, "--as", "eve@example.test", "--for", "5m").code == 0
    asked.wait()
    assert asked.error is None
    desk.client.connection.execute("DELETE FROM t WHERE a = 'y'")  # its shape is approved


def test_bad_input(custody: Run, home: Home) -> None:
    assert custody("approvals", "approve", "feedfacecafe").err.startswith("custody: no approval 'feedfacecafe' waits")
    assert custody("approvals", "approve", "").code == 2
    assert "Missing option '--reason'" in custody("approvals", "deny", "x").err
    assert custody("approvals", "approve", "x", "--for", "soon").code == 2
