"""Nothing lost, twice or out of order: workers killed and the broker restarted under load."""

import os
import random
import threading
import time

import pytest

from schemas import topics
from schemas.events import EventBatch
from schemas.runtime import Home
from tests.processors.pipeline import CARD, Log, Proxy, accepted, kill, open_log, wait_until
from tests.support.homes import connect_home
from tests.support.kafka import Kafka


class Load:
    """A proxy that keeps sending, in a thread."""

    def __init__(self, log: Log, every_s: float = 0.004) -> None:
        self.proxy = Proxy(log.home)
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            self.proxy.send(number % 4, f"select {number}", f"insert '{CARD}' {number}")
            number += 1
            if number % 400 == 0:
                self.proxy.restart()
            time.sleep(self._every_s)

    def finish(self) -> dict[int, int]:
        self._stop.set()
        self._thread.join()
        self.proxy.flush()
        return self.proxy.sent


def check(log: Log, sent: dict[int, int]) -> None:
    sessions = log.output(topics.SESSIONS)
    wait_until(lambda: sum(map(len, accepted(sessions.poll()).values())) >= sum(sent.values()), 90)
    taken = accepted(sessions.poll(0.5))
    assert {partition: len(batches) for partition, batches in taken.items()} == sent
    for batches in taken.values():
        check_order(batches)
    assert not any(CARD.encode() in value for value in sessions.raw)


def check_order(batches: list[EventBatch]) -> None:
    """Contiguous batches of each epoch, contiguous events of each session, no gap reported."""
    next_batch: dict[str, int] = {}
    next_seq: dict[str, int] = {}
    for batch in batches:
        assert batch.batch_seq == next_batch.get(batch.proxy_epoch, 0)
        next_batch[batch.proxy_epoch] = batch.batch_seq + 1
        for item in batch.events:
            session = batch.sessions[item.session].session_id
            assert item.event.kind != "audit.gap", item.event.attributes
            assert item.event.seq == next_seq.get(session, 1)
            next_seq[session] = item.event.seq + 1


def run_kills(log: Log, rounds: int) -> None:
    chance = random.Random(int(os.environ.get("CUSTODY_SEED", "7")))
    load = Load(log)
    worker = log.start("mask")
    for _ in range(rounds):
        time.sleep(chance.uniform(0.1, 2.5))
        kill(worker)
        worker = log.launch("mask")
        if chance.random() < 0.3:
            time.sleep(chance.uniform(0.2, 2.0))  # killed while it starts
            continue
        log.wait_ready(worker, "mask")
    if worker.poll() is not None:
        worker = log.launch("mask")
    check(log, load.finish())


def test_mask_killed_under_load(log: Log) -> None:
    run_kills(log, 3)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_mask_killed_many_times(log: Log) -> None:
    run_kills(log, 40)


def test_the_broker_restarts_under_load(own_kafka: Kafka, bare_home: Home) -> None:
    connect_home(bare_home, own_kafka)
    with open_log(own_kafka, bare_home) as log:
        load = Load(log)
        worker = log.start("mask")
        for stop in (own_kafka.broker.kill, own_kafka.broker.stop):
            time.sleep(1.0)
            stop()
            time.sleep(0.5)
            own_kafka.broker.start()
        sent = load.finish()
        if worker.poll() is not None:  # it may end rather than guess: it is supervised
            log.launch("mask")
        check(log, sent)
