"""Dead letters: what masking refused for good, and putting one before it again once what was wrong is mended.

A dead letter is final for its origin. Redriving puts its sealed bytes on the raw topic again, as they are: masking
judges them like any other record. So a batch counts once however often it is redriven, and a forged one stays refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from console.control import COMPONENT, TIMEOUT_S, Place, open_view
from processors.admission import KeyRing, Refused, decode_sealed, verify_sealed
from processors.proxy_keys import ProxyKeys
from schemas import topics
from schemas.errors import ConfigError, RecordError, Unreachable
from schemas.events import DeadLetter, SealedHeader
from schemas.wire import framing, kafka
from schemas.wire.redriving import write_headers

MASKING: Final = "mask"
TOO_LARGE: Final = "too_large"


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter. `id`: its offset; `size`: bytes kept of the refused record; `obstacle`: why redriving it would be
    for nothing, "" when masking would look at it again; `header`: what its record says of itself, unproven."""

    id: int
    letter: DeadLetter
    size: int
    obstacle: str
    header: SealedHeader | None = None


@dataclass(frozen=True, slots=True)
class Redriven:
    """Where on the raw topic a dead letter's record lies now."""

    letter: Letter
    partition: int
    offset: int


def list_letters(place: Place) -> Iterator[Letter]:
    """Every dead letter that Kafka still has, oldest first, without the refused bytes. Raises Unreachable."""
    with open_view(place) as view:
        keys = ProxyKeys(view)
        for message in _read(place, 0, -1):
            found = _look_at(message, keys)
            found.letter.record = b""
            yield found


def redrive(place: Place, id: int, by: str) -> Redriven:
    """Put a dead letter's record on the raw topic again. Raises ConfigError when that would be for nothing,
    Unreachable."""
    with open_view(place) as view:
        found = [_look_at(message, ProxyKeys(view)) for message in _read(place, id, id + 1)]
    if not found:
        raise ConfigError(f"there is no dead letter {id}: see `custody dead-letter list`")
    letter = found[0]
    if letter.obstacle or letter.header is None:
        raise ConfigError(f"dead letter {id} would be refused again: {letter.obstacle}")
    try:
        headers = write_headers(letter.letter.origin, by)
    except RecordError as error:
        raise ConfigError(str(error)) from None
    partition = letter.header.partition
    offset = _publish(place, partition, letter.letter.record, headers)
    return Redriven(letter, partition, offset)


def _read(place: Place, start: int, end: int) -> Iterator[Message]:
    """The dead letters of [start, end); all from `start` on when `end` is negative."""
    config = kafka.reader_config(place.settings, place.home, COMPONENT)
    consumer = Consumer(config)
    try:
        low, high = kafka.watermarks(consumer, topics.DEADLETTER, 0)
    finally:
        consumer.close()
    last = high if end < 0 else min(end, high)
    yield from kafka.read_range(config, topics.DEADLETTER, 0, max(low, start), last)


def _look_at(message: Message, keys: KeyRing) -> Letter:
    letter = framing.decode(message.value() or b"")
    if not isinstance(letter, DeadLetter):
        raise RecordError(f"a {type(letter).__name__} among the dead letters, at offset {message.offset()}")
    size = len(letter.record)
    obstacle, header = "", None
    if letter.stage != MASKING:
        obstacle = f"{letter.stage} refused it, and only what masking refused lies on the raw topic"
    elif not letter.record:
        obstacle = "its bytes were not kept"
    elif letter.reason.startswith(TOO_LARGE):
        obstacle = "its masked batch would be as large again"
    else:
        try:
            sealed = decode_sealed(letter.record)
            header = sealed.header
            verify_sealed(sealed, header.partition, keys)
        except Refused as refused:
            obstacle = refused.detail
    return Letter(message.offset() or 0, letter, size, obstacle, header)


def _publish(place: Place, partition: int, record: bytes, headers: list[tuple[str, bytes]]) -> int:
    """Put it there durably; its offset. Raises Unreachable."""
    outcome: list[tuple[KafkaError | None, Message]] = []
    producer = Producer(kafka.producer_config(place.settings, place.home, COMPONENT))

    def note(error: KafkaError | None, message: Message) -> None:
        outcome.append((error, message))

    try:
        producer.produce(topics.RAW, record, partition=partition, headers=headers, on_delivery=note)
        producer.flush(TIMEOUT_S)
    except (KafkaException, BufferError) as error:
        raise Unreachable(f"{topics.RAW}[{partition}]: {error}") from None
    if not outcome or outcome[0][0] is not None:
        raise Unreachable(f"{topics.RAW}[{partition}] did not take it: {outcome[0][0] if outcome else 'no answer'}")
    return int(outcome[0][1].offset() or 0)
