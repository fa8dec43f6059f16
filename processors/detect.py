"""The detection stage: facts in, detections out.

Restart: the state of the last snapshot is restored, the facts behind it are fed again, and a detection that the output
already holds (they have deterministic ids) is not emitted a second time.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from confluent_kafka import Consumer

from processors.app import StageApp
from processors.detection.engine import Engine
from processors.fact_batch import FactReader
from processors.origins import Absorbed
from processors.stage import Partition, Stage
from schemas import topics
from schemas.config import Settings
from schemas.events import Detection, Progress
from schemas.runtime import Home
from schemas.wire import framing, kafka


@dataclass(slots=True)
class DetectState:
    """One facts partition: rule states, facts absorbed, and where its output partition goes on."""

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

    def __init__(self, settings: Settings, home: Home, app: StageApp) -> None:
        super().__init__(settings, home, app)
        self._reader = FactReader()

    def restore_partition(self, number: int, saved: Progress | None) -> Partition:
        part = self.resumed(number, saved)
        values = self.saved_state(saved) or {}
        state = part.state = DetectState()
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
        state.out_next = high
        return part

    def save(self, part: Partition) -> Any:
        state: DetectState = part.state
        state.emitted.clear()  # what is behind the snapshot is not fed again
        return {
            "detections_id": self._detections_id,
            "out_next": state.out_next,
            "engine": state.engine.save(),
            "absorbed": state.absorbed.save(),
        }

    async def absorb(self, part: Partition, message: Any) -> None:
        batch = self._reader.read(message.value or b"")
        state: DetectState = part.state
        if not state.absorbed.take(vars(batch.origin), batch.index):
            return
        for detection in state.engine.feed(batch.origin, batch.facts):
            if detection.detection_id not in state.emitted:
                key = detection.agent.encode()
                await self.send(part, topics.DETECTIONS, state.out_partition, framing.encode(detection), key)

    def on_acknowledged(self, part: Partition, metadata: Any) -> None:
        state: DetectState = part.state
        state.out_next = max(state.out_next, metadata.offset + 1)
