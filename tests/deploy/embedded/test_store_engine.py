"""Lanes of the engine, driven without the engine where only waiting and discarding matter."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded import store_engine
from deploy.embedded.store_engine import Lane
from deploy.embedded.store_errors import QueryError


class ChdbError(RuntimeError):
    """Named as chDB's."""


class FakeHandle:
    """In place of a session of the engine: one process can hold only one engine, and the tests' is another process."""

    opened = 0

    def __init__(self, path: str, settings: dict[str, Any]) -> None:
        type(self).opened += 1
        self.number = type(self).opened
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def lane(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lane:
    monkeypatch.setattr(store_engine, "Handle", FakeHandle)
    monkeypatch.setattr(FakeHandle, "opened", 0)
    return Lane(str(tmp_path), "test", threads=1, max_waiting=1, settings={})


async def test_a_handle_is_kept_until_an_error_and_then_discarded(lane: Lane) -> None:
    def number(handle: Any) -> int:
        return int(handle.number)

    def fail(handle: Any) -> None:
        raise ChdbError("Code: 60. DB::Exception: at /h/body-1. (UNKNOWN_TABLE)")

    assert [await lane.call(number), await lane.call(number)] == [1, 1]
    with pytest.raises(QueryError, match="at the body") as caught:
        await lane.call(fail, hidden="/h/body-1")
    assert caught.value.code == 60
    assert await lane.call(number) == 2
    lane.close()


async def test_waiting_is_bounded(lane: Lane) -> None:
    release = threading.Event()
    calls = [asyncio.ensure_future(lane.call(lambda _: release.wait(30))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(QueryError, match="TOO_MANY_SIMULTANEOUS_QUERIES"):
        await lane.call(lambda _: None)
    release.set()
    assert await asyncio.gather(*calls) == [True, True]
    assert await lane.call(lambda _: 7) == 7
    lane.close()


async def test_a_caller_that_leaves_still_counts_until_its_query_ends(lane: Lane) -> None:
    release = threading.Event()
    calls = [asyncio.ensure_future(lane.call(lambda _: release.wait(30))) for _ in range(2)]
    await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    await asyncio.sleep(0)
    with pytest.raises(QueryError):
        await lane.call(lambda _: None)
    release.set()
    while lane._pending:
        await asyncio.sleep(0.01)
    assert await lane.call(lambda _: 7) == 7
    lane.close()
