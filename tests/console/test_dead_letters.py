"""Dead letters as they lie on the topic, and what is put on the raw topic when one is redriven."""

from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from console.control import find_place
from console.dead_letters import Letter, list_letters, redrive
from schemas import topics
from schemas.config import find_settings
from schemas.errors import ConfigError
from schemas.events import DeadLetter, Origin
from schemas.runtime import Home, now_us
from schemas.wire import framing, kafka
from schemas.wire.redriving import note_of
from tests.processors.pipeline import Proxy, make_event

Put = Callable[[DeadLetter], int]


@pytest.fixture
def put(home: Home) -> Put:
    """Writes a dead letter as masking does; its id."""
    producer = Producer(kafka.producer_config(find_settings(home), home, "mask"))

    def write(letter: DeadLetter) -> int:
        offsets: list[int] = []
        producer.produce(
            topics.DEADLETTER,
            framing.encode(letter),
            partition=0,
            on_delivery=lambda error, message: offsets.append(message.offset()),
        )
        assert producer.flush(30) == 0
        return offsets[0]

    return write


def letter_of(
    record: bytes, reason: str = "forged: its proxy has no registered key", stage: str = "mask"
) -> DeadLetter:
    return DeadLetter(Origin("log-a", 1, 7), stage, reason, record, now_us())


def find(id: int) -> Letter:
    return next(letter for letter in list_letters(find_place()) if letter.id == id)


def test_a_letter_of_a_proxy_that_is_known_now_goes_on_the_raw_topic_as_it_was(home: Home, put: Put) -> None:
    proxy = Proxy(home, "proxy-dead-letters", is_registered=False)
    record = proxy.seal(2, [make_event(1)])
    id = put(letter_of(record))
    found = find(id)
    assert (found.obstacle, found.size, found.letter.record) == ("its proxy has no registered key", len(record), b"")
    with pytest.raises(ConfigError, match=f"dead letter {id} would be refused again: its proxy has no registered key"):
        redrive(find_place(), id, "dana@example.test")
    proxy.register()
    assert find(id).obstacle == ""
    with pytest.raises(ConfigError, match="no name of a person"):
        redrive(find_place(), id, "dana")
    done = redrive(find_place(), id, "dana@example.test")
    assert done.partition == 2  # for which it was sealed, wherever it was found
    config = kafka.reader_config(find_settings(home), home, "mask")
    (message,) = kafka.read_range(config, topics.RAW, 2, done.offset, done.offset + 1)
    assert message.value() == record
    note = note_of(message.headers())
    assert note is not None and note["claimed.by"] == "dana@example.test"
    assert "raw record 1/7 of log log-a" in note["detail"]


def test_what_would_be_refused_again_is_not_redriven(home: Home, put: Put) -> None:
    proxy = Proxy(home, "proxy-dead-letters-2")
    record = proxy.seal(0, [make_event(1)])
    cases = {
        "its bytes were not kept": letter_of(b""),
        "its masked batch would be as large again": letter_of(record, "too_large: its masked batch has 9 bytes"),
        "detect refused it": letter_of(record, stage="detect"),
        "its signature is not its proxy's": letter_of(record[:-1] + bytes([record[-1] ^ 1])),
        "unknown schema fingerprint": letter_of(b"\xc3\x01 nothing", "undecodable: unknown schema"),
        "a DeadLetter on the raw topic": letter_of(framing.encode(letter_of(b"")), "undecodable: a DeadLetter"),
    }
    for obstacle, letter in cases.items():
        id = put(letter)
        assert obstacle in find(id).obstacle
        with pytest.raises(ConfigError, match="would be refused again"):
            redrive(find_place(), id, "dana@example.test")
    with pytest.raises(ConfigError, match="there is no dead letter 100000000"):
        redrive(find_place(), 100_000_000, "dana@example.test")
