import asyncio
import json
import logging
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from console.reconcile.access_log import read_access_log
from console.reconcile.shapes import HttpShapes
from console.reconcile.sighting import Reading, Sighting, read_lines

COMBINED = '%a - %{X-User}i %t "%r" %s %b "%{Referer}i" "%{User-Agent}i"'
NOON = 1_769_860_800_000_000


def shapes() -> HttpShapes:
    return HttpShapes(lambda path: path)


def read(*lines: str) -> tuple[list[Sighting], Reading]:
    reading = Reading()
    return list(read_access_log(enumerate(lines, 1), reading, shapes())), reading


def test_a_real_servers_log(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    handler = logging.FileHandler(path)
    log = logging.getLogger("test.reconcile.access")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def ask() -> None:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", answer)
        runner = web.AppRunner(app, access_log=log, access_log_format=COMBINED)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
            headers = {"X-User": "app", "User-Agent": 'evil" 200 5 [01/Jan/2020:00:00:00 +0000]'}
            await client.get("/customers/7?card=4012888888881881", headers=headers)
            await client.post("/orders", data=b"x")
        await runner.cleanup()

    asyncio.run(ask())
    handler.close()
    log.removeHandler(handler)
    reading = Reading()
    found = list(read_access_log(read_lines([path], reading), reading, shapes()))
    assert [(item.text, item.status, item.source) for item in found] == [
        ("GET /customers/{id}", "200", "127.0.0.1"), ("POST /orders", "200", "127.0.0.1"),
    ]  # fmt: skip
    assert (found[0].user, found[1].user, reading.unread) == ("app", "", 0)


@pytest.mark.parametrize(
    "row",
    [
        {"time_iso8601": "2026-01-31T12:00:00+00:00", "request_method": "GET", "request_uri": "/c/7?x=1",
         "status": 200, "remote_addr": "10.0.0.9", "remote_user": "app"},
        {"msec": "1769860800.000", "request": "GET /c/7 HTTP/1.1", "status": "200", "remote_addr": "10.0.0.9",
         "remote_user": "app"},
        {"ts": 1769860800.0, "request": {"method": "GET", "uri": "/c/7", "remote_ip": "10.0.0.9"}, "status": 200,
         "user_id": "app"},
        {"StartUTC": "2026-01-31T12:00:00Z", "RequestMethod": "GET", "RequestPath": "/c/7", "DownstreamStatus": 200,
         "ClientHost": "10.0.0.9", "ClientUsername": "app"},
        {"start_time": "2026-01-31T12:00:00.000Z", "method": "GET", "path": "/c/7", "response_code": 200,
         "client_ip": "10.0.0.9", "user": "app"},
        {"@timestamp": "2026-01-31T12:00:00Z", "http": {"request": {"method": "GET"}, "response": {"status_code": 200}},
         "url": {"path": "/c/7"}, "source": {"address": "10.0.0.9"}, "user": "app"},
    ],
    ids=["nginx", "nginx-request", "caddy", "traefik", "envoy", "ecs"],
)  # fmt: skip
def test_json_of_the_usual_servers(row: dict[str, object]) -> None:
    found, reading = read(json.dumps(row))
    assert reading.unread == 0
    item = found[0]
    assert (item.at, item.shape, item.status, item.source, item.user) == (NOON, "GET /c/{id}", "200", "10.0.0.9", "app")


def test_bytes_that_were_no_request_are_told_too() -> None:
    found, _ = read(r'10.0.0.9 - - [31/Jan/2026:12:00:00 +0000] "\x16\x03\x01" 400 157 "-" "-"')
    assert (found[0].shape, found[0].status, found[0].slack_us) == ("(no request)", "400", 1_000_000)


def test_hostile_lines_are_counted() -> None:
    lines = (
        "garbage", "{", "[1]", '{"time": 5}', '{"time":"2026-01-31T12:00:00Z","method":"GET"}', '{"a":' * 2000,
        '{"ts":1e400,"method":"GET","uri":"/"}', '10.0.0.9 - - [99/Jan/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 1',
        '10.0.0.9 - - [31/Jan/2026:12:00:00 +0000] "GET /' + "\\" * 5001, "x" * 100_000,
    )  # fmt: skip
    found, reading = read(*lines, "", "  ")
    assert (found, reading.unread) == ([], len(lines))
