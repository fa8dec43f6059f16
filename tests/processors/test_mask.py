"""The masking stage against a real broker, as a process."""

from masking.free_text import stream_version
from schemas.events import EventKind
from tests.processors.pipeline import CARD, Log, Proxy, gap_reasons, make_event, stop


def test_each_raw_record_gives_its_masked_batch_in_order(log: Log) -> None:
    proxy = Proxy(log.home)
    for number in range(50):
        proxy.send(number % 4, f"select {number}", f"select '{CARD}'")
    proxy.flush()
    worker = log.start("mask")
    taken = log.batches(50)
    for partition, batches in taken.items():
        assert [batch.batch_seq for batch in batches] == list(range(len(batches)))
        assert [item.event.seq for batch in batches for item in batch.events] == list(range(1, 2 * len(batches) + 1))
        assert {batch.origin.partition for batch in batches} == {partition}
        for batch in batches:
            assert batch.rule_version == stream_version(None)  # as this process computes it
            assert batch.rule_version.endswith(";free_text=off")  # what was not looked for is said
            plain, masked = (item.event for item in batch.events)
            assert plain.statement.startswith("select ") and not plain.masked
            assert CARD not in masked.statement and masked.masked[0].place == "statement"
            assert batch.sessions[0].principal == "ann@example.com"
    assert stop(worker) == 0


def test_a_refused_record_gives_a_gap_and_a_dead_letter(log: Log) -> None:
    proxy, forger = Proxy(log.home), Proxy(log.home, "proxy-b", is_registered=False)
    log.start("mask")
    proxy.send(0, "select 1")
    proxy.put(0, b"\xc3\x01 nothing")
    proxy.put(0, forger.seal(0, [make_event(1)]))
    proxy.put(0, proxy.seal(1, [make_event(1)]))
    again = proxy.seal(0, [make_event(2)])
    proxy.put(0, again)
    proxy.put(0, again)
    proxy.put(0, proxy.seal(0, [make_event(9)], seq=5))
    proxy.put(0, proxy.seal(0, [make_event(4)], seq=3))
    proxy.flush()
    batches = log.batches(8)[0]
    assert [gap_reasons(batch) for batch in batches] == [
        [], ["undecodable"], ["forged"], ["misplaced"], [], ["duplicate"], ["missing_batches"], ["late_batch"],
    ]  # fmt: skip
    assert [item.event.kind for item in batches[6].events] == [EventKind.ACTION_REQUESTED, EventKind.AUDIT_GAP]
    letters = log.dead_letters(3)
    assert [letter.reason.split(":")[0] for letter in letters] == ["undecodable", "forged", "misplaced"]
    assert [letter.origin.offset for letter in letters] == [1, 2, 3]
    assert letters[0].record == b"\xc3\x01 nothing"
