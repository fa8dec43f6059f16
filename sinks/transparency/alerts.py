"""Detections that the log's sequencer makes itself, onto the topic of all detections."""

from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaException, Message, Producer

from schemas.config import Settings
from schemas.errors import Unreachable
from schemas.events import Detection
from schemas.runtime import Home
from schemas.topics import DETECTIONS
from schemas.wire import framing
from schemas.wire.kafka import producer_config

ANSWER_TIMEOUT_S: Final = 10.0


class AlertWriter:
    """Connects when there is something to say. For one thread."""

    def __init__(self, settings: Settings, home: Home, component: str) -> None:
        self._config = producer_config(settings, home, component) | {"message.timeout.ms": 8000}

    def write(self, detections: Sequence[Detection]) -> None:
        """Make detections durable. Raises Unreachable; then they are sent again, with the same ids."""
        failures: list[str] = []

        def note(error: object, _message: Message) -> None:
            if error is not None:
                failures.append(str(error))

        try:
            producer = Producer(self._config)
            for detection in detections:
                producer.produce(DETECTIONS, framing.encode(detection), partition=0, on_delivery=note)
            left = producer.flush(ANSWER_TIMEOUT_S)
        except (KafkaException, BufferError) as error:
            raise Unreachable(f"{DETECTIONS}: {error}") from None
        if left or failures:
            raise Unreachable(f"{DETECTIONS} did not take every alert: {' '.join(failures[:1])}")
