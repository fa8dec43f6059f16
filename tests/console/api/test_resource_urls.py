import os

import pytest

from console.api.problems import Problem
from console.api.resource_urls import PROXY, find_resource
from console.control import Place
from schemas.config import Settings
from schemas.resources import Resource
from schemas.runtime import Home, RunState, announce_ready, now_us, write_run_state

UPSTREAM = {"host": "x", "port": 1}


def make(name: str, listen: int, speaks: str = "mcp") -> Resource:
    return Resource(name=name, protocol="http", listen=listen, upstream=UPSTREAM, speaks=speaks)  # type: ignore[arg-type]


RESOURCES = {"tools": make("tools", 7001), "plain": make("plain", 7002, ""), "any": make("any", 0)}


def test_a_url_means_the_mcp_server_that_listens_there(tmp_path) -> None:
    place = Place(Home(tmp_path), Settings(capture={"public_host": "custody.example"}))  # type: ignore[arg-type]
    for url in ("http://127.0.0.1:7001/mcp", "https://custody.example:7001", "http://localhost:7001/"):
        assert find_resource(url, RESOURCES, place) == "tools"
    write_run_state(place.home, RunState(PROXY, os.getpid(), started_at=now_us()))
    announce_ready(place.home, PROXY, {"any": 7003, "http_proxy": 7004})
    assert find_resource("http://127.0.0.1:7003/mcp", RESOURCES, place) == "any"
    for url in (
        "http://evil.example:7001/mcp", "http://127.0.0.1:7002/", "http://127.0.0.1:7004/", "http://127.0.0.1/",
        "tools", "", "http://127.0.0.1:x/", "http://[::1/",
    ):  # fmt: skip
        with pytest.raises(Problem) as raised:
            find_resource(url, RESOURCES, place)
        assert raised.value.name == "invalid_target"
