"""Facts and detections against a real broker, as a process that is killed in between."""

from schemas import topics
from schemas.events import Detection, FactBatch
from tests.processors.pipeline import Log, Proxy, kill, make_context, make_event, wait_until


def send_denials(proxy: Proxy, agent: str, first: int, count: int, partitions: int = 4) -> None:
    for number in range(first, first + count):
        partition = number % partitions
        context = make_context(f"{agent}-{partition}", agent=agent)
        event = make_event(number // partitions + 1, "action.decided", verdict="deny")
        proxy.put(partition, proxy.seal(partition, [event], context))
    proxy.flush()


def test_a_burst_over_many_partitions_gives_one_detection_also_across_a_kill(log: Log) -> None:
    proxy = Proxy(log.home)
    log.start("mask")
    worker = log.start("detect")
    send_denials(proxy, "planner", 0, 6)
    facts = log.output(topics.FACTS, "detect")
    wait_until(lambda: len(facts.poll()) >= 6)
    kill(worker)
    worker = log.start("detect")
    send_denials(proxy, "planner", 6, 20)
    send_denials(proxy, "other", 26, 4)
    detections = log.output(topics.DETECTIONS)
    wait_until(lambda: detections.poll())
    kill(worker)
    worker = log.start("detect")
    send_denials(proxy, "executor", 30, 12)
    wait_until(lambda: len(detections.poll()) >= 2)
    found = [record for _, _, record in detections.poll(1.0)]
    assert all(isinstance(record, Detection) for record in found)
    assert sorted(record.agent for record in found) == ["executor", "planner"]
    assert len(found[0].evidence) == 10
    by_agent: dict[str, set[int]] = {}
    for partition, _, record in facts.poll():
        assert isinstance(record, FactBatch)
        for fact in record.facts:
            by_agent.setdefault(fact.agent, set()).add(partition)
    assert all(len(partitions) == 1 for partitions in by_agent.values())
