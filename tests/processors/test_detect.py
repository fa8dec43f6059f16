"""Facts and detections against a real broker, as a process that is killed in between."""

import base64
import json

from deploy.embedded.registration import register
from schemas import topics
from schemas.config import find_settings
from schemas.events import ControlKind, Detection, FactBatch, LineageEdge
from schemas.wire.control import ControlView, ControlWriter
from tests.processors.pipeline import CARD, Log, Proxy, kill, make_context, make_event, wait_until
from tests.support.homes import write_settings


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


def send_event(proxy: Proxy, partition: int, seq: int, context: dict[str, str], kind: str, **values: object) -> None:
    made = make_context(f"{context['agent']}-{context['resource']}-{partition}", **context)
    proxy.put(partition, proxy.seal(partition, [make_event(seq, kind, **values)], made))
    proxy.flush()


def test_a_card_that_goes_from_a_database_to_a_mailer_is_an_edge_and_a_detection(log: Log) -> None:
    """Over partitions, agents of one run, encodings and a restart; within a second of the request."""
    control = ControlWriter(find_settings(log.home), log.home)
    for name, host in (("orders", "10.0.0.5"), ("mailer", "api.mailer.example.com"), ("archive", "10.0.0.9")):
        control.put(ControlKind.RESOURCE, name, {"name": name, "upstream": {"host": host}, "labels": {}})
    proxy = Proxy(log.home)
    log.start("mask")
    worker = log.start("detect")
    run = {"run_id": "run-7", "principal": "ann@example.com"}
    rows = json.dumps({"columns": ["id", "card"], "rows": [["cus_9fT3x7Lq2WbZ81mk", CARD]]}).encode()
    send_event(proxy, 0, 1, run | {"agent": "planner", "resource": "orders"}, "action.completed", payload=rows,
               payload_type="rows")  # fmt: skip
    facts = log.output(topics.FACTS, "detect")
    wait_until(lambda: len(facts.poll()) >= 2)
    kill(worker)
    log.start("detect")
    mail = base64.b64encode(f"pay {CARD[:4]} {CARD[4:8]} {CARD[8:12]} {CARD[12:]} for CUS-9ft3x7lq2wbz81mk".encode())
    send_event(proxy, 3, 1, run | {"agent": "executor", "resource": "mailer"}, "data.sent", payload=mail,
               payload_type="text")  # fmt: skip
    send_event(proxy, 2, 1, run | {"agent": "executor", "resource": "archive"}, "action.requested",
               statement=f"INSERT INTO cards VALUES ('{CARD}')")  # fmt: skip
    send_event(proxy, 1, 1, {"agent": "stranger", "resource": "mailer"}, "action.requested", statement=f"'{CARD}'")
    findings = log.output(topics.DETECTIONS)
    wait_until(lambda: len(findings.poll()) >= 4)
    found = [record for _, _, record in findings.poll(1.0)]
    edges = [item for item in found if isinstance(item, LineageEdge)]
    ways = sorted((edge.label, edge.from_resource, edge.to_resource, edge.relation) for edge in edges)
    assert ways == [
        ("", "orders", "mailer", "run"),
        ("payment_card", "orders", "archive", "run"),
        ("payment_card", "orders", "mailer", "run"),
    ]
    (detection,) = [item for item in found if isinstance(item, Detection)]
    assert (detection.rule, detection.severity, detection.agent) == ("data-flow", "high", "executor")
    assert detection.attributes["to_resource"] == "mailer"
    assert detection.evidence == ["planner-orders-0:1", "executor-mailer-3:1"]


def test_a_detection_stops_its_agent_once_and_what_people_lift_stays_lifted(log: Log) -> None:
    settings = find_settings(log.home)
    write_settings(
        log.home,
        kafka={"bootstrap": settings.bootstrap()},
        detection={"quarantine": {"denied-burst": "agent"}, "max_quarantines_per_hour": 1},
    )
    register(find_settings(log.home), log.home)
    proxy = Proxy(log.home)
    log.start("mask")
    worker = log.start("detect")
    view = ControlView(settings, log.home, "api")
    view.start()
    try:
        send_denials(proxy, "wild", 0, 12)
        entry = wait_until(lambda: view.get(ControlKind.QUARANTINE, "agent:wild"))
        detections = log.output(topics.DETECTIONS)
        (_, _, found), *_ = wait_until(lambda: detections.poll())
        assert entry["reason"] == f"detection {found.detection_id}: {found.title}"
        assert entry["by"] == "detect:denied-burst" and found.attributes["quarantine"] == "agent wild"
        ControlWriter(settings, log.home).put(ControlKind.QUARANTINE, "agent:wild", None)
        kill(worker)
        log.start("detect")  # it feeds again what is behind its snapshot
        send_denials(proxy, "wilder", 100, 12)
        wait_until(lambda: len(detections.poll()) >= 2)
        assert view.refresh(10) and view.get(ControlKind.QUARANTINE, "agent:wild") is None
        other = detections.records[1][2]
        assert (other.agent, other.attributes["quarantine"]) == ("wilder", "agent wilder")
        send_denials(proxy, "third", 200, 12)
        wait_until(lambda: len(detections.poll()) >= 3)
        assert detections.records[2][2].attributes["quarantine"] == "none: 1 were placed within an hour already"
        assert set(view.all(ControlKind.QUARANTINE)) & {"agent:wilder", "agent:third"} == {"agent:wilder"}
    finally:
        view.close()
