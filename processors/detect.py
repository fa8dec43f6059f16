"""The detection stage: facts in, detections out; sightings in, lineage edges and detections out.

Restart: the state of the last snapshot is restored, the facts behind it are fed again, and a detection or edge that the
output already holds (they have deterministic ids) is not emitted a second time. What was seen where is not in the
snapshot: it is made again from the input, from the oldest record that still counts.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from confluent_kafka import Consumer

from processors.app import StageApp
from processors.detection.data_flow import Place, place_of
from processors.detection.engine import Engine
from processors.detection.lineage import Lineage
from processors.fact_batch import FactReader
from processors.facts import FLOW_KEY
from processors.gathering import items_of
from processors.origins import Absorbed
from processors.quarantining import Quarantining
from processors.sighting_batch import SightingReader
from processors.stage import Partition, Stage
from schemas import topics
from schemas.config import Settings
from schemas.events import ControlKind, Detection, FactBatch, LineageEdge, Progress, SightingBatch
from schemas.runtime import Home
from schemas.wire import framing, kafka
from schemas.wire.control import ControlView, ControlWriter

MAX_REPLAYED: Final = 500_000
"""Records of the input that a start reads back at most to remember which values were seen where."""


@dataclass(slots=True)
class DetectState:
    """One facts partition: rule states, facts absorbed, and where its output partition goes on."""

    lineage: Lineage
    engine: Engine = field(default_factory=Engine)
    absorbed: Absorbed = field(default_factory=Absorbed)
    out_partition: int = 0
    out_next: int = 0
    emitted: set[str] = field(default_factory=set)


class DetectStage(Stage):
    """facts -> detections."""

    component: ClassVar[str] = "detect"
    source: ClassVar[str] = topics.FACTS
    _detections_id: str = ""

    def __init__(self, settings: Settings, home: Home, app: StageApp, view: ControlView) -> None:
        super().__init__(settings, home, app)
        self._view = view
        self._quarantining = Quarantining(
            settings.detection,
            view,
            lambda: ControlWriter(settings, home, self.component),
            lambda told: self.raise_alarm("quarantine", told),
        )
        self._reader = FactReader()
        self._sighting_reader = SightingReader()

    def restore_partition(self, number: int, saved: Progress | None) -> Partition:
        part = self.resumed(number, saved)
        values = self.saved_state(saved) or {}
        state = part.state = DetectState(Lineage(self._place_of, values.get("lineage")))
        self._replay(part, values.get("lineage"))
        if values:
            state.engine, state.absorbed = Engine(values["engine"]), Absorbed(values["absorbed"])
        probe = Consumer(self.reader_config)
        try:
            state.out_partition = number % kafka.partition_count(probe, topics.DETECTIONS)
            low, high = kafka.watermarks(probe, topics.DETECTIONS, state.out_partition)
        finally:
            probe.close()
        self._detections_id = kafka.topic_id(self.reader_config, topics.DETECTIONS)
        is_same = values.get("detections_id") == self._detections_id
        start = max(low, values["out_next"]) if is_same else low
        for message in kafka.read_range(self.reader_config, topics.DETECTIONS, state.out_partition, start, high):
            record = framing.decode(message.value() or b"")
            if isinstance(record, Detection):
                state.emitted.add(record.detection_id)
            elif isinstance(record, LineageEdge):
                state.emitted.add(record.edge_id)
        state.out_next = high
        return part

    def save(self, part: Partition) -> Any:
        state: DetectState = part.state
        state.emitted.clear()  # what is behind the snapshot is not fed again
        return {
            "detections_id": self._detections_id,
            "out_next": state.out_next,
            "engine": state.engine.save(),
            "lineage": state.lineage.save(),
            "absorbed": state.absorbed.save(),
        }

    async def absorb(self, part: Partition, message: Any) -> None:
        # All is read before any of it has an effect: an unreadable record ends the process, a missing registry waits.
        read = [self._read(item) for item in items_of(message.value or b"")]
        for batch in read:
            if isinstance(batch, SightingBatch):
                await self._absorb_sightings(part, message.offset, batch)
            else:
                await self._absorb_facts(part, batch)

    def _read(self, item: bytes) -> FactBatch | SightingBatch:
        if framing.find_body(item)[0] != "SightingBatch":
            return self._reader.read(item)
        return self._sighting_reader.read(item)

    async def _absorb_facts(self, part: Partition, batch: FactBatch) -> None:
        state: DetectState = part.state
        if not state.absorbed.take(vars(batch.origin), batch.index):
            return
        for detection in state.engine.feed(batch.origin, batch.facts):
            if detection.detection_id not in state.emitted:
                await self._quarantining.place(detection)
                key = detection.agent.encode()
                await self.send(part, topics.DETECTIONS, state.out_partition, framing.encode(detection), key)

    async def _absorb_sightings(self, part: Partition, offset: int, batch: SightingBatch) -> None:
        """A record that comes twice says nothing new: sightings and edges are known by their events."""
        state: DetectState = part.state
        for found in state.lineage.feed(offset, batch):
            identity = found.edge_id if isinstance(found, LineageEdge) else found.detection_id
            agent = found.to_agent if isinstance(found, LineageEdge) else found.agent
            if identity not in state.emitted:
                if isinstance(found, Detection):
                    await self._quarantining.place(found)
                await self.send(part, topics.DETECTIONS, state.out_partition, framing.encode(found), agent.encode())

    def _replay(self, part: Partition, saved: Any) -> None:
        state: DetectState = part.state
        start = (saved or {}).get("from")
        if start is None:
            return
        start = max(start, part.expected - MAX_REPLAYED)
        for message in kafka.read_range(self.reader_config, topics.FACTS, part.number, start, part.expected):
            if message.key() != FLOW_KEY:
                continue
            for item in items_of(message.value() or b""):
                if isinstance(batch := self._read(item), SightingBatch):
                    state.lineage.replay(message.offset(), batch)

    def _place_of(self, resource: str) -> Place:
        return place_of(resource, self._view.get(ControlKind.RESOURCE, resource))

    def on_acknowledged(self, part: Partition, metadata: Any) -> None:
        state: DetectState = part.state
        state.out_next = max(state.out_next, metadata.offset + 1)
