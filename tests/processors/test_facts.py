"""The facts stage against a real broker: one batch of facts per origin and agent, exact across a kill."""

from schemas import topics
from schemas.events import FactBatch
from tests.processors.pipeline import Log, Proxy, kill, make_context, make_event, wait_until


def test_each_origin_gives_its_facts(log: Log) -> None:
    proxy = Proxy(log.home)
    log.start("mask")
    worker = log.start("detect")
    facts = log.output(topics.FACTS, "detect")
    for number in range(40):
        if number == 20:
            proxy.flush()
            wait_until(lambda: len(facts.poll()) >= 5)
            kill(worker)
            worker = log.start("detect")
        events = [make_event(number * 2 + 1), make_event(number * 2 + 2, "action.completed", rows=number)]
        proxy.put(1, proxy.seal(1, events, make_context("s", agent=f"agent{number % 2}")))
    proxy.flush()

    def offsets() -> set[int]:
        return {record.origin.offset for _, _, record in facts.poll() if isinstance(record, FactBatch)}

    wait_until(lambda: len(offsets()) >= 40)
    by_origin: dict[int, FactBatch] = {}
    for _, _, record in facts.records:
        assert (record.index, record.count) == (0, 1)
        assert vars(by_origin.setdefault(record.origin.offset, record).facts[0]) == vars(record.facts[0])
    assert [by_origin[number].facts[0].rows for number in range(40)] == list(range(40))
    assert {record.facts[0].agent: partition for partition, _, record in facts.records}.keys() == {"agent0", "agent1"}
