import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from console.api import handling
from console.api.handling import read_bounded
from console.api.problems import Problem


def request(*messages: dict[str, Any], wait: bool = False) -> Request:
    left = list(messages)

    async def receive() -> dict[str, Any]:
        if left:
            return left.pop(0)
        if wait:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)


def piece(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_content_is_read_up_to_its_limit() -> None:
    assert await read_bounded(request(piece(b"ab"), piece(b"cd", False)), 4) == b"abcd"
    with pytest.raises(Problem, match="413"):
        await read_bounded(request(piece(b"ab"), piece(b"cde", False)), 4)


async def test_content_that_ends_early_or_never_comes_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Problem, match="ended early"):
        await read_bounded(request(piece(b"ab")), 4)
    monkeypatch.setattr(handling, "BODY_TIMEOUT_S", 0.05)
    with pytest.raises(Problem, match="408"):
        await read_bounded(request(piece(b"ab"), wait=True), 4)
