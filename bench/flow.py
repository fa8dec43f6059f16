"""Data-flow detection on seeded runs of agents with known edges: precision and recall, cost, and time to a detection.

`python -m bench.flow [RUNS]`; with an argument it is a quick look that records nothing. Quality goes through the real
masking, the real sightings and the real memory, in one process; the time to a detection through the real pipeline.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from confluent_kafka import Producer

from bench.flow_runs import EPOCH_US, Edge, Story, batches_of, write_runs
from bench.results import record
from bench.stages import Pipeline, run_pipeline
from masking.catalog import rule_version
from masking.engine import Masker
from masking.fingerprints import distinctive_values
from masking.forms import forms_of
from masking.tokens import FlowKey, TokenKey
from processors.detection.flow_memory import FlowMemory
from processors.flows_of import FlowReader
from processors.redaction import Redactor
from processors.sighting_batch import encode_sightings
from schemas import topics
from schemas.config import find_settings
from schemas.events import ControlKind, Detection, EventBatch, LineageEdge, Origin, SessionEvent, SightingBatch
from schemas.runtime import now_us
from schemas.wire import framing, kafka
from schemas.wire.control import ControlWriter
from tests.processors.pipeline import Output, Proxy, make_context, make_event

RUNS: Final = 1_000
BATCH_EVENTS: Final = 20
SEED: Final = 11
PROBES: Final = 60
WANTED_PRECISION: Final = 0.95
WANTED_RECALL: Final = 0.95
WANTED_MS: Final = 1000.0
KEY: Final = b"b" * 32


def find_edges(story: Story) -> tuple[list[LineageEdge], float, int]:
    """The edges that are found, the CPU seconds that sightings and memory took, and how many events there were."""
    redactor = Redactor(Masker(tokens=TokenKey(KEY), rule_version=rule_version()))
    reader, memory = FlowReader(FlowKey(KEY)), FlowMemory()
    found: list[LineageEdge] = []
    spent, events = 0.0, 0
    for offset, steps in enumerate(batches_of(story, BATCH_EVENTS)):
        origin = Origin("bench", 0, offset)
        batch = EventBatch("p", "e", offset, origin)
        for context, event in steps:
            batch.sessions.append(context)
            batch.events.append(SessionEvent(len(batch.sessions) - 1, event))
        fields = framing.decode_fields(framing.encode(batch))[1]
        redactor.redact(fields)
        started = time.process_time()
        for bucket, sightings in reader.find(fields).items():
            decoded = framing.decode(encode_sightings(vars(origin), bucket, sightings))
            assert isinstance(decoded, SightingBatch)
            found += memory.feed(offset, origin, decoded.sightings)
        spent += time.process_time() - started
        events += len(steps)
    return found, spent, events


def names_of(value: str) -> set[str]:
    """Every token and fingerprint that stands for a value."""
    tokens, flows = TokenKey(KEY), FlowKey(KEY)
    data = value.encode()
    return {tokens.token(form) for form in forms_of(data)} | {
        flows.fingerprint(folded) for folded in distinctive_values(data, 4)
    }


def score(story: Story, found: list[LineageEdge]) -> tuple[float, float, set[Edge]]:
    """Precision, recall, and the edges that were missed. Several edges of one value and way count once."""
    known = {name: (value, source, to) for value, source, to in story.edges for name in names_of(value)}
    ways = {(edge.token, edge.from_resource, edge.to_resource) for edge in found}
    right: set[Edge] = set()
    wrong = 0
    by_value: dict[str, set[Edge]] = {}
    for value, source, to in story.edges:
        for name in names_of(value):
            by_value.setdefault(name, set()).add((value, source, to))
    for token, source, to in ways:
        hits = {edge for edge in by_value.get(token, set()) if edge[1:] == (source, to)}
        right |= hits
        wrong += not hits
    assert known or not story.edges
    return len(right) / max(1, len(right) + wrong), len(right) / max(1, len(story.edges)), story.edges - right


def measure_latency(pipeline: Pipeline, probes: int) -> list[float]:
    """ms from the moment of the request to its detection on Kafka, as its own time stamp says."""
    settings = find_settings(pipeline.home)
    control = ControlWriter(settings, pipeline.home)
    control.put(ControlKind.RESOURCE, "mailer", {"name": "mailer", "upstream": {"host": "mail.example.com"}})
    proxy = Proxy(pipeline.home)
    proxy.producer = Producer(kafka.producer_config(settings, pipeline.home, "proxy"))
    output = Output(pipeline.home, topics.DETECTIONS)
    took: list[float] = []
    for number in range(probes):
        agent, email = f"probe-{number}", f"person{number}@probe.example.com"
        seen = make_context(f"seen-{number}", agent=agent, resource="db")
        proxy.put(
            0, proxy.seal(0, [make_event(1, "action.completed", payload=email.encode(), payload_type="text")], seen)
        )
        proxy.flush()
        time.sleep(0.2)
        sent = make_context(f"sent-{number}", agent=agent, resource="mailer", protocol="http")
        event = make_event(1, "action.requested", statement=f"POST /?to={email}")
        proxy.put(1, proxy.seal(1, [event], sent))
        proxy.flush()
        took.append((_wait_detection(output, agent) - event.at) / 1000)
    output.close()
    return took


def _wait_detection(output: Output, agent: str) -> int:
    """When the detection was seen here, µs."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = [item for _, _, item in output.poll(0.01) if isinstance(item, Detection) and item.agent == agent]
        if found:
            return now_us()
    raise SystemExit(f"no detection of {agent} came")


def main(arguments: list[str]) -> None:
    runs = int(arguments[0]) if arguments else RUNS
    story = write_runs(SEED, runs)
    found, spent, events = find_edges(story)
    precision, recall, missed = score(story, found)
    print(f"{len(story.steps)} events, {len(story.edges)} edges, {len(found)} found, missed e.g. {sorted(missed)[:5]}")
    cost = spent / events * 1e6
    with tempfile.TemporaryDirectory() as directory, run_pipeline(Path(directory)) as pipeline:
        pipeline.start("mask", "detect")
        took = sorted(measure_latency(pipeline, PROBES if not arguments else 10))
    p50, p99 = took[len(took) // 2], took[min(len(took) - 1, len(took) * 99 // 100)]
    print(f"precision {precision:.4f} recall {recall:.4f} {cost:.1f} µs/event, p50 {p50:.0f} ms p99 {p99:.0f} ms")
    if arguments:
        return
    record("flow.edges", len(story.edges), "edges")
    record("flow.precision", precision, "share", "required", precision / WANTED_PRECISION)
    record("flow.recall", recall, "share", "required", recall / WANTED_RECALL)
    record("flow.cpu", cost, "µs/event")
    record("flow.detection.p50", p50, "ms", "required", WANTED_MS / p50)
    record("flow.detection.p99", p99, "ms", "required", WANTED_MS / p99)


if __name__ == "__main__":
    assert EPOCH_US
    main(sys.argv[1:])
