"""What masking does when keys are late, logs change, state is gone: each ends in a record or an alarm."""

import shutil
import time

from confluent_kafka import Consumer

from console.cli import run
from schemas import topics
from schemas.config import find_settings
from schemas.wire import kafka
from tests.processors.pipeline import Log, Proxy, gap_reasons, kill, make_event, remake_topics, stop, wait_until
from tests.support.homes import write_settings


def test_a_partition_waits_for_the_unsealing_key_and_goes_on_by_itself(log: Log) -> None:
    key = log.home.secrets / "unseal.key"
    proxy = Proxy(log.home)
    shutil.move(key, key.with_suffix(".away"))
    worker = log.start("mask")
    proxy.send(0, "select 1")
    proxy.put(1, b"nothing to open")
    proxy.flush()
    wait_until(lambda: "mask: partition 0" in log.detail_of("mask").get("alarms", {}))
    assert "no unsealing key" in log.detail_of("mask")["alarms"]["mask: partition 0"]
    assert set(log.batches(1)) == {1}  # the others go on
    proxy.send(0, "select 2")
    proxy.flush()
    shutil.move(key.with_suffix(".away"), key)
    assert [batch.events[0].event.statement for batch in log.batches(3)[0]] == ["select 1", "select 2"]
    wait_until(lambda: not log.detail_of("mask")["alarms"])
    assert worker.poll() is None


def test_a_proxy_registered_while_mask_runs_is_known(log: Log) -> None:
    log.start("mask")
    late = Proxy(log.home, "proxy-late")
    late.send(2, "select 1")
    late.flush()
    assert gap_reasons(log.batches(1)[2][0]) == []


def test_dead_letters_of_a_proxy_registered_too_late_are_redriven_and_count_once(log: Log) -> None:
    """By the command: the record then has what it lacked, says who put it there, and takes nothing twice."""
    proxy = Proxy(log.home, "proxy-forgotten", is_registered=False)
    proxy.send(0, "select 1")
    proxy.send(0, "select 2")
    proxy.flush()
    log.start("mask")
    assert [gap_reasons(batch) for batch in log.batches(2)[0]] == [["forged"], ["forged"]]
    proxy.register()
    redrive = ("dead-letter", "redrive", "0", "1", "--by", "dana@example.test")
    assert run(redrive) == 0
    first, second = log.batches(4)[0][2:]
    assert [gap_reasons(first), gap_reasons(second)] == [["redriven"], ["redriven"]]
    assert [batch.events[0].event.statement for batch in (first, second)] == ["select 1", "select 2"]
    note = first.events[-1].event.attributes
    assert note["claimed.by"] == "dana@example.test" and "raw record 0/0 of log" in note["detail"]
    assert run(redrive) == 0
    assert [gap_reasons(batch) for batch in log.batches(6)[0][4:]] == [["duplicate", "redriven"]] * 2


def test_duplicates_are_told_after_a_kill_and_after_the_state_is_lost(log: Log) -> None:
    proxy = Proxy(log.home)
    records = [proxy.seal(0, [make_event(number + 1)]) for number in range(5)]
    worker = log.start("mask")
    for record in records[:4]:
        proxy.put(0, record)
    proxy.flush()
    log.batches(4)
    kill(worker)
    proxy.put(0, records[1])  # as a spool drain would
    worker = log.start("mask")
    proxy.flush()
    assert gap_reasons(log.batches(5)[0][4]) == ["duplicate"]
    time.sleep(7)  # a snapshot is due
    assert stop(worker) == 0
    proxy.put(0, records[2])
    log.start("mask")
    proxy.put(0, records[4])
    proxy.flush()
    batches = log.batches(7)[0]
    assert [gap_reasons(batch) for batch in batches[5:]] == [["duplicate"], []]


def test_a_raw_topic_made_again_is_a_new_log_and_the_record_says_so(log: Log) -> None:
    proxy = Proxy(log.home)
    proxy.send(0, "select 1")
    proxy.flush()
    worker = log.start("mask")
    first = log.batches(1)[0][0]
    remake_topics(log.kafka, [topics.RAW])
    worker.wait(60)  # the topic under it is another one: it ends and is started again
    proxy.send(0, "select 2")
    proxy.flush()
    log.start("mask")
    sessions = log.output(topics.SESSIONS)
    wait_until(lambda: len(sessions.poll()) >= 2)
    second = sessions.records[1][2]
    assert second.origin.log_id != first.origin.log_id and second.origin.offset == 0
    assert second.events[0].event.statement == "select 2"
    assert gap_reasons(second)[0] == "log_replaced"


def test_raw_is_trimmed_behind_progress_and_grace(log: Log) -> None:
    write_settings(log.home, kafka={"bootstrap": log.kafka.bootstrap}, masking={"raw_grace_s": 0})
    proxy = Proxy(log.home)
    for number in range(6):
        proxy.send(1, f"select {number}")
    proxy.flush()
    worker = log.start("mask")
    consumer = Consumer(kafka.reader_config(find_settings(log.home), log.home, "mask"))
    wait_until(lambda: kafka.watermarks(consumer, topics.RAW, 1) == (6, 6))
    kill(worker)
    worker = log.start("mask")
    proxy.send(1, "select 6")
    proxy.flush()
    assert [batch.origin.offset for batch in log.batches(7)[1]] == list(range(7))
    consumer.close()
