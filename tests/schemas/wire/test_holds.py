"""Holds as a sink sees them: all that is durable, and nothing at all when that cannot be known."""

from collections.abc import Iterator
from typing import Any

import pytest

from schemas.config import find_settings
from schemas.errors import Unreachable
from schemas.events import ControlKind
from schemas.runtime import Home
from schemas.wire.control import ControlWriter
from schemas.wire.holds import HoldReader
from tests.support.kafka import Kafka

PAYLOAD: dict[str, Any] = {
    "session": "s-1", "authority": "court", "reason": "case 7", "placed_by": "ann", "approved_by": "bob",
    "placed_at": 1, "opening": "ab" * 16,
}  # fmt: skip


@pytest.fixture
def reader(home: Home, kafka: Kafka) -> Iterator[HoldReader]:
    kafka.reset_topics()
    reader = HoldReader(find_settings(home), home, "sink-clickhouse")
    yield reader
    reader.close()


def test_a_hold_counts_as_soon_as_it_is_durable(home: Home, reader: HoldReader) -> None:
    writer = ControlWriter(find_settings(home), home)
    assert reader.read() == {}
    writer.put(ControlKind.LEGAL_HOLD, "h-1", PAYLOAD)
    assert reader.read()["h-1"].session == "s-1"
    release = {"released_by": "ann", "release_approved_by": "bob", "release_reason": "over", "released_at": 2}
    writer.put(ControlKind.LEGAL_HOLD, "h-1", PAYLOAD | release)
    assert reader.read() == {}
    writer.put(ControlKind.LEGAL_HOLD, "h-2", {"nonsense": 1})
    with pytest.raises(Unreachable, match="nothing expires"):
        reader.read()


def test_without_a_broker_there_is_no_answer(bare_home: Home) -> None:
    from tests.support.homes import write_settings

    write_settings(bare_home, kafka={"bootstrap": "127.0.0.1:1"})
    reader = HoldReader(find_settings(bare_home), bare_home, "sink-clickhouse")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("schemas.wire.holds.START_TIMEOUT_S", 0.3)
        with pytest.raises(Unreachable):
            reader.read()
