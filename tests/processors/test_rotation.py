"""Keys that are rotated while masking runs, and batches that it emits again: same key, same rules, same tokens."""

import re
from pathlib import Path

import pytest

from console.control import Place
from console.key_rotation import rotate_token, rotate_unseal
from masking.forms import forms_of
from masking.tokens import TokenRing
from schemas import topics
from schemas.config import find_settings
from schemas.events import EventBatch
from schemas.keys import read_ring
from schemas.wire import kafka
from schemas.wire.sealing import Sealer
from schemas.wire.suites import UnsealPublic, private_from
from tests.processors.pipeline import CARD, Log, Proxy, kill, remake_topics, stop, wait_until

TOKEN = re.compile("‹[a-z_0-9]+:([a-z2-7]{16})›")


def place_of(log: Log) -> Place:
    return Place(log.home, find_settings(log.home))


def tokens_of(batch: EventBatch) -> list[str]:
    return TOKEN.findall(batch.events[0].event.statement)


def test_a_token_key_rotated_mid_stream_is_taken_up_and_old_tokens_stay_traceable(log: Log) -> None:
    proxy = Proxy(log.home)
    worker = log.start("mask")
    proxy.send(0, f"select '{CARD}'")
    proxy.flush()
    log.batches(1)
    rotate_token(place_of(log))
    wait_until(lambda: "the token key was rotated: 2 keys" in log.log_of("mask"))
    proxy.send(0, f"select '{CARD}'")
    proxy.flush()
    first, second = (tokens_of(batch) for batch in log.batches(2)[0])
    ring = TokenRing(read_ring(log.home, "file:token.key").keys)
    traced = {token for form in forms_of(CARD.encode()) for token in ring.tokens(form)}
    assert first != second
    assert {*first, *second} <= traced
    assert worker.poll() is None


def test_a_token_key_that_goes_away_leaves_the_last_one_in_use_with_an_alarm(log: Log) -> None:
    proxy = Proxy(log.home)
    log.start("mask")
    proxy.send(0, f"select '{CARD}'")
    proxy.flush()
    log.batches(1)
    key = log.home.secrets / "token.key"
    key.rename(key.with_suffix(".away"))
    wait_until(lambda: "mask: token key" in log.detail_of("mask").get("alarms", {}))
    proxy.send(0, f"select '{CARD}'")
    proxy.flush()
    first, second = (tokens_of(batch) for batch in log.batches(2)[0])
    assert first == second
    key.with_suffix(".away").rename(key)
    wait_until(lambda: not log.detail_of("mask")["alarms"])


def test_an_unsealing_key_rotated_mid_stream_opens_old_and_new_also_after_a_restart(log: Log) -> None:
    proxy = Proxy(log.home)
    proxy.sealer = Sealer(proxy.id, proxy.key, log.home.unseal_public(), source=log.home.unseal_public)
    worker = log.start("mask")
    proxy.send(0, "select 1")
    old = proxy.seal(0, [], seq=1)  # as a spool may keep it
    kept = log.home.secrets / rotate_unseal(place_of(log)).kept
    assert proxy.sealer.refresh()
    proxy.next_seq[0] = 2
    proxy.put(0, old)
    proxy.send(0, "select 2")
    proxy.flush()
    statements = [[item.event.statement for item in batch.events] for batch in log.batches(3)[0]]
    assert statements == [["select 1"], [], ["select 2"]]
    assert stop(worker) == 0
    kept.rename(log.home.root / "kept.key")
    late = Sealer(proxy.id, proxy.key, log.home.unseal_public())
    proxy.sealer, before = late, proxy.sealer
    proxy.next_seq = {}
    log.start("mask")
    proxy.send(0, "select 3")
    proxy.flush()
    assert len(log.batches(4)[0]) == 4
    # What was sealed to the old key waits for it, and goes on once it is there.
    stale = Sealer(proxy.id, proxy.key, _public_of(log.home.root / "kept.key"))
    proxy.sealer, proxy.next_seq = stale, {}
    proxy.send(0, "select 4")
    proxy.flush()
    wait_until(lambda: "no unsealing key" in log.detail_of("mask").get("alarms", {}).get("mask: partition 0", ""))
    (log.home.root / "kept.key").rename(kept)
    assert log.batches(5)[0][4].events[0].event.statement == "select 4"
    assert before.epoch != late.epoch


def _public_of(path: Path) -> UnsealPublic:
    return private_from(path.read_bytes()).public_key()


@pytest.mark.parametrize("is_rotated", [False, True], ids=["same key", "key rotated in between"])
def test_a_batch_emitted_again_after_a_crash(log: Log, is_rotated: bool) -> None:
    """Output and progress are lost, so mask gives every batch again. Same key and rules: same tokens."""
    proxy = Proxy(log.home)
    worker = log.start("mask")
    for number in range(3):
        proxy.send(0, f"select '{CARD}', 'user{number}@example.com'")
    proxy.flush()
    first = log.batches(3)[0]
    kill(worker)
    if is_rotated:
        rotate_token(place_of(log))
    remake_topics(log.kafka, [topics.SESSIONS])
    wait_until(lambda: kafka.topic_id(kafka.reader_config(find_settings(log.home), log.home, "mask"), topics.SESSIONS))
    log.start("mask")
    again = log.batches(3)[0]
    assert [batch.origin for batch in again] == [batch.origin for batch in first]
    assert {batch.rule_version for batch in again} == {batch.rule_version for batch in first}
    if is_rotated:
        assert all(set(tokens_of(a)).isdisjoint(tokens_of(b)) for a, b in zip(first, again, strict=True))
    else:
        assert [batch.events for batch in again] == [batch.events for batch in first]
        assert all(len(tokens_of(batch)) == 2 for batch in again)
