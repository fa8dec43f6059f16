"""What is gathered goes whole, in order, and is owed until then. The way through a broker is in test_facts.py."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from processors.gathering import MAX_BYTES, MAX_ITEMS, PACE_S, Gatherer, items_of
from processors.stage import Cause, Partition, Unsettled
from schemas.errors import RecordError
from schemas.events import FactBatch, FactBundle, Origin
from schemas.wire import framing

PART = Partition(0, 0)


@dataclass
class Sends:
    """A stage that keeps what it is to send."""

    owed: int = 0
    sent: list[tuple[int, list[bytes], int, bytes | None]] = field(default_factory=list)
    at: list[float] = field(default_factory=list)

    def owe(self, part: Partition) -> Cause:
        self.owed += 1
        return part, Unsettled(None)

    async def send_for(
        self, causes: Sequence[Cause], topic: str, partition: int, value: bytes, key: bytes | None = None
    ) -> object:
        assert topic == "facts"
        self.at.append(asyncio.get_running_loop().time())
        self.sent.append((partition, list(items_of(value)), len(causes), key))
        return None


def item(number: int, size: int = 0) -> bytes:
    return framing.encode(FactBatch(Origin("x" * size, 0, number), 0, 1))


def make() -> tuple[Sends, asyncio.Lock, Gatherer]:
    sends, lock = Sends(), asyncio.Lock()
    return sends, lock, Gatherer(sends, lock, "facts")


async def until_sent(sends: Sends, count: int) -> None:
    async with asyncio.timeout(10):
        while len(sends.sent) < count:
            await asyncio.sleep(0.005)


async def test_one_alone_goes_as_it_is() -> None:
    sends, lock, gatherer = make()
    async with lock:
        await gatherer.add(PART, 2, item(1))
        assert not sends.sent and sends.owed == 1
    await until_sent(sends, 1)
    assert sends.sent == [(2, [item(1)], 1, None)]


async def test_several_go_together_in_order_by_partition_under_the_key_of_any() -> None:
    sends, lock, gatherer = make()
    async with lock:
        for number in range(10):
            await gatherer.add(PART, number % 2, item(number), b"flow" if number == 5 else None)
    await until_sent(sends, 2)
    assert sorted(sends.sent) == [
        (0, [item(number) for number in range(0, 10, 2)], 5, None),
        (1, [item(number) for number in range(1, 10, 2)], 5, b"flow"),
    ]


async def test_what_comes_soon_after_waits_for_more() -> None:
    sends, lock, gatherer = make()
    async with lock:
        await gatherer.add(PART, 0, item(1))
    await until_sent(sends, 1)
    for number in (2, 3):
        async with lock:
            await gatherer.add(PART, 0, item(number))
        await asyncio.sleep(0.01)
    await until_sent(sends, 2)
    assert [items for _, items, _, _ in sends.sent] == [[item(1)], [item(2), item(3)]]
    assert sends.at[1] - sends.at[0] >= PACE_S * 0.9


async def test_it_is_bounded_and_nothing_overtakes() -> None:
    sends, lock, gatherer = make()
    large = item(1, MAX_BYTES)
    async with lock:
        await gatherer.add(PART, 0, item(0))
        await gatherer.add(PART, 0, large)
        for number in range(MAX_ITEMS + 1):
            await gatherer.add(PART, 0, item(number))
        assert [items for _, items, _, _ in sends.sent] == [
            [item(0)], [large], [item(number) for number in range(MAX_ITEMS)],
        ]  # fmt: skip
        await gatherer.release()
    assert [items for _, items, _, _ in sends.sent][3:] == [[item(MAX_ITEMS)]]
    assert sum(causes for _, _, causes, _ in sends.sent) == sends.owed


def test_what_is_no_record_is_said() -> None:
    whole = framing.encode(FactBundle([item(1), b"\x00"]))
    assert list(items_of(whole)) == [item(1), b"\x00"]
    for hostile in (b"", b"\xc3\x01", whole[:-1], whole + b"\x00"):
        with pytest.raises(RecordError):
            list(items_of(hostile))
