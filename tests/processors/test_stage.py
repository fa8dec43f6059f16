"""What every stage shares, with a stand-in for Faust: records out of turn and failing sends cannot be had otherwise."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from processors import stage as module
from processors.stage import Partition, Stage, Wait
from schemas.config import Settings
from schemas.events import Progress
from schemas.runtime import Home
from schemas.wire import framing


class Died(BaseException):
    """The process would have ended."""


class StandIn:
    """As much of a Faust app as a stage touches."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.futures: list[asyncio.Future[Any]] = []
        self.sought: list[dict[Any, int]] = []
        self.paused: list[Any] = []
        self.conf = SimpleNamespace()
        self.consumer = SimpleNamespace(
            seek_wait=self._seek,
            _read_offset={},
            pause_partitions=self.paused.extend,
            resume_partitions=lambda tps: None,
        )
        self.producer = SimpleNamespace(send=self._send, flush=self._flush)

    def topic(self, *names: str, **values: Any) -> None:
        return None

    def agent(self, *values: Any, **more: Any) -> Any:
        return lambda function: function

    async def _seek(self, target: dict[Any, int]) -> None:
        self.sought.append(target)

    async def _send(self, topic: str, key: Any, value: bytes, *rest: Any) -> asyncio.Future[Any]:
        self.sent.append((topic, value))
        self.futures.append(asyncio.get_running_loop().create_future())
        return self.futures[-1]

    async def _flush(self) -> None:
        for future in self.futures:
            if not future.done():
                future.set_result(SimpleNamespace(topic="out", offset=0))
        await asyncio.sleep(0)


class Copy(Stage):
    component = "retain"
    source = "in"
    waits = False

    def restore_partition(self, number: int, saved: Progress | None) -> Partition:
        return Partition(number, 5)

    async def absorb(self, part: Partition, message: Any) -> None:
        if self.waits:
            raise Wait("not yet")
        await self.send(part, "out", 0, message.value)

    def save(self, part: Partition) -> Any:
        return {"at": part.expected}


@pytest.fixture
def stage(bare_home: Home, monkeypatch: pytest.MonkeyPatch) -> Copy:
    def die(reason: str) -> None:
        raise Died(reason)

    monkeypatch.setattr(module, "die", die)
    made = Copy(Settings(), bare_home, StandIn())  # type: ignore[arg-type]
    made.partitions = {0: made._restored(0, None)}
    return made


def message(offset: int, partition: int = 0) -> Any:
    acked: list[bool] = []
    return SimpleNamespace(
        partition=partition, offset=offset, value=b"%d" % offset, acked=acked, ack=lambda consumer: acked.append(True)
    )


async def test_records_are_taken_once_in_order(stage: Copy) -> None:
    for offset in (5, 4, 6, 6, 9, 10):
        await stage.take(message(offset))
    assert [value for _, value in stage.app.sent] == [b"5", b"6"]
    assert [list(target.values()) for target in stage.app.sought] == [[7]]  # once a second at most


async def test_settled_is_what_is_durable_in_order(stage: Copy) -> None:
    records = [message(offset) for offset in (5, 6, 7)]
    for record in records:
        await stage.take(record)
    part = stage.partitions[0]
    first, second, third = stage.app.futures
    for future, settled in ((second, 4), (first, 6), (third, 7)):
        future.set_result(SimpleNamespace(topic="out", offset=0))
        await asyncio.sleep(0)
        assert part.settled == settled
    assert all(record.acked for record in records)


async def test_a_record_of_an_unknown_partition_ends_the_process(stage: Copy) -> None:
    with pytest.raises(Died):
        await stage.take(message(0, 3))


async def test_a_failed_send_ends_the_process(stage: Copy) -> None:
    reasons: list[str] = []
    module.die = reasons.append  # type: ignore[assignment]
    await stage.take(message(5))
    stage.app.futures[0].set_exception(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await stage.app.futures[0]
    await asyncio.sleep(0)
    assert reasons and "a send failed" in reasons[0]


async def test_a_waiting_partition_is_tried_again(stage: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    stage.waits = True
    await stage.take(message(5))
    await stage.take(message(6))
    assert stage.app.sent == [] and stage.alarms == {"partition 0": "not yet"}
    stage.waits = False
    await asyncio.gather(*stage._tasks)
    assert [list(target.values()) for target in stage.app.sought] == [[5]]
    await stage.take(message(5))
    assert stage.app.sent == [("out", b"5")] and not stage.alarms


async def test_a_snapshot_covers_durable_output_only(stage: Copy) -> None:
    await stage.take(message(5))
    await stage.snapshot(stage.partitions[0])
    await stage.snapshot(stage.partitions[0])  # nothing moved: nothing to write
    (topic, value) = stage.app.sent[-1]
    record = framing.decode(value)
    assert isinstance(record, Progress) and topic == "custody-retain-state" and len(stage.app.sent) == 2
    assert (record.offset, stage.saved_state(record)) == (5, {"at": 6})
    assert stage.app.futures[0].done()
    record.state = b"nonsense"
    assert stage.saved_state(record) is None and "state" in stage.alarms


def test_when_a_snapshot_is_due() -> None:
    part = Partition(0, 5, snapshot_offset=4, snapshot_at=100.0)
    assert not part.is_snapshot_due(1000.0)
    part.expected = 6
    assert not part.is_snapshot_due(101.0) and part.is_snapshot_due(106.0)
    part.expected = 5 + module.SNAPSHOT_RECORDS
    assert part.is_snapshot_due(100.0)
