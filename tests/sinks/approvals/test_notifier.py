"""From the masked log on a real broker to a real receiver: told once, tried again, and not told what is over."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from schemas.config import Receiver as Settings
from schemas.errors import ConfigError
from schemas.runtime import ENV_HOME, Home, now_us, read_run_state, write_private
from sinks.approvals.forms import Item, custody_form
from sinks.approvals.notices import Notice
from sinks.approvals.notifier import Courier, choose_receivers, make_webhook
from sinks.approvals.webhook import Webhook
from tests.sinks.approvals.test_follower import producer, write
from tests.sinks.approvals.test_forms import held
from tests.sinks.approvals.test_notices import permitted
from tests.sinks.approvals.test_pending import asked, batch, decided
from tests.sinks.batches import make_session
from tests.support.homes import connect_home
from tests.support.kafka import Kafka
from tests.support.proxies import ROOT
from tests.support.receiver import Receiver

__all__ = ["producer"]

KEY = "0123456789abcdef"


@pytest.fixture
def courier(receiver: Receiver) -> Iterator[Courier]:
    def is_current(item: Item) -> bool:
        return isinstance(item, Notice) or item.expires_at > 0

    running = Courier("ops", Webhook(receiver.url, KEY.encode()), custody_form, is_current)
    running.start()
    try:
        yield running
    finally:
        running.close()


def test_a_receiver_that_fails_is_tried_again_under_the_same_id(courier: Courier, receiver: Receiver) -> None:
    receiver.answers += [(503, {}), (500, {"Retry-After": "2"})]
    courier.add(held())
    first, second, third = receiver.wait(3)
    assert {each.headers["webhook-id"] for each in (first, second, third)} == {"a1"}
    assert second.at - first.at >= 0.9 and third.at - second.at >= 1.9
    assert json.loads(third.body)["approval"]["approval_id"] == "a1"


def test_what_a_receiver_refuses_for_good_does_not_hold_up_the_next(courier: Courier, receiver: Receiver) -> None:
    receiver.answers += [(400, {})]
    courier.add(held())
    courier.add(held(approval_id="a2"))
    assert [each.headers["webhook-id"] for each in receiver.wait(2)] == ["a1", "a2"]
    deadline = time.monotonic() + 10
    while courier.delivered != 1:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert courier.problem == ""


def test_what_is_over_is_not_told(courier: Courier, receiver: Receiver) -> None:
    courier.add(held(expires_at=0))
    courier.add(held(approval_id="a2"))
    assert [each.headers["webhook-id"] for each in receiver.wait(1)] == ["a2"]


def test_notify_chooses_among_receivers_and_never_nobody() -> None:
    receivers = {name: Settings(url="https://host.test/", secret="env:X") for name in ("ops", "dba")}
    assert choose_receivers(held(notify=("dba",)), receivers) == ["dba"]
    for names in ((), ("*",), ("nobody",)):
        assert choose_receivers(held(notify=names), receivers) == ["ops", "dba"]


def test_an_address_may_be_a_secret(home: Home) -> None:
    write_private(home.secrets / "slack.url", b"https://hooks.test/services/T0/B0/x\n")
    webhook = make_webhook("chat", Settings(url="file:slack.url", form="slack"), home)
    assert webhook.url == "https://hooks.test/services/T0/B0/x"
    with pytest.raises(ConfigError, match=r"approvals\.receivers\.chat: environment variable NOWHERE is not set"):
        make_webhook("chat", Settings(url="env:NOWHERE", form="slack"), home)


def test_the_process_tells_every_receiver_what_waits(
    home: Home, kafka: Kafka, producer: Producer, receiver: Receiver
) -> None:
    forms = {"ops": {"form": "custody", "secret": "file:ops.key"}, "chat": {"form": "slack"}, "team": {"form": "teams"}}
    write_private(home.secrets / "ops.key", KEY.encode())
    receivers = {name: {"url": receiver.url, **form} for name, form in forms.items()}
    connect_home(home, kafka, approvals={"receivers": receivers})

    def ask(id: str) -> object:
        event = asked(id, now_us())
        event.attributes |= {"approval.expires_at": str(now_us() + 60_000_000), "policy.notify": ""}
        return batch(event)

    old = batch(permitted("x1", now_us() - 300_000_000))  # of before the start, so nobody is told any more
    write(producer, ask("over"), batch(decided("denied", "over")), old, ask("first"))
    environment = os.environ | {ENV_HOME: str(home.root), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-m", "sinks.approvals.notifier"], env=environment, cwd=home.root)
    try:
        told = receiver.wait(3, 60)
        write(producer, ask("second"))
        told = receiver.wait(6, 60)
        assert [each.headers["webhook-id"] for each in told] == ["first"] * 3 + ["second"] * 3
        bodies = [json.loads(each.body) for each in told[:3]]
        assert sorted("approval" if "approval" in body else min(body) for body in bodies) == [
            "approval", "attachments", "blocks",
        ]  # fmt: skip
        assert sum("webhook-signature" in each.headers for each in told) == 2
        write(producer, batch(permitted("x9", now_us())), batch(permitted("x10", now_us())))
        write(producer, ask("third"))
        told = receiver.wait(10, 60)[6:]
        # Only the receiver that the policy names, and only once.
        (notice,) = [each for each in told if each.headers["webhook-id"] == f"{make_session().session_id}.x9"]
        body = json.loads(notice.body)
        assert (body["type"], body["notice"]["statement"]) == ("policy.notice", "DELETE FROM t WHERE id = 1")
        assert sum(each.headers["webhook-id"] == "third" for each in told) == 3
        threading.Event().wait(0.1)
        assert (state := read_run_state(home, "notifier")) is not None and state.is_ready
    finally:
        process.terminate()
        assert process.wait(20) == 0
