"""Detections that the log's sequencer makes itself, onto the topic of all detections."""

from collections.abc import Sequence
from typing import Final

from confluent_kafka import Producer

from schemas.config import Settings
from schemas.events import Detection
from schemas.runtime import Home
from schemas.topics import DETECTIONS
from schemas.wire import framing
from schemas.wire.kafka import producer_config, write_durably

ANSWER_TIMEOUT_S: Final = 10.0


class AlertWriter:
    """Connects when there is something to say. For one thread."""

    def __init__(self, settings: Settings, home: Home, component: str) -> None:
        self._config = producer_config(settings, home, component) | {"message.timeout.ms": 8000}

    def write(self, detections: Sequence[Detection]) -> None:
        """Make detections durable. Raises Unreachable; then they are sent again, with the same ids."""
        values = [framing.encode(detection) for detection in detections]
        write_durably(Producer(self._config), DETECTIONS, values, ANSWER_TIMEOUT_S)
