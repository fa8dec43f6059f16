"""Answers that policy wants masked, through the proxy, as real clients see them."""

import asyncio
import gzip
import json
import re
import socket
import time

import aiohttp
import brotli
import httpx
import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from masking.inline.messages import PLACE
from masking.tokens import TokenKey
from tests.ingest.http.conftest import Captured, Front, trusting
from tests.support.http2_upstream import Http2Upstream
from tests.support.proxies import Trail
from tests.support.scripted_upstream import ABORT, Scripted

EMAIL = "bob.smith@example.com"
KEY_ID = "AKIA" + "Q3VWXNPLE7PLAN2B"
CARD = "4111111111111111"
PERSON = {"id": 7, "email": EMAIL, "card": int(CARD), "salary": 5000, "note": f"write to {EMAIL}"}
JSON = "Content-Type: application/json"
MASKED, COLUMNS, RELAYED = ({"policy": word} for word in ("masked", "columns", "relayed"))


def client(front: Front, captured: Captured, **more: object) -> httpx.Client:
    return httpx.Client(base_url=front.url, headers=captured.bearer, timeout=30, **more)  # type: ignore[arg-type]


def request(captured: Captured, path: str, *headers: str) -> bytes:
    """A GET as it goes over the wire."""
    lines = [f"GET {path} HTTP/1.1", "Host: x", f"Authorization: {captured.bearer['Authorization']}", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def shows_nothing(trail: Trail) -> bool:
    """Whether no record holds what was masked; records are sealed on their way, but still."""
    return not any(secret in repr(trail.events) for secret in ("bob.smith", CARD))


def test_a_small_answer_is_masked_and_the_record_says_what_and_why(captured: Captured, scripted: Scripted) -> None:
    body = json.dumps(PERSON).encode()
    scripted.answer("/p", body, JSON, 'ETag: "abc"', "Digest: md5=x", f"X-Owner: {EMAIL}")
    front = captured.front(scripted.port, labels=MASKED)
    with client(front, captured) as http:
        answer = http.get("/p", headers={"Range": "bytes=0-5", "If-None-Match": '"abc"'})
    shown = answer.json()
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert shown["id"] == 7 and shown["card"] is None and shown["salary"] == 5000
    token = TokenKey(captured.home.read_key("token.key")).token(EMAIL.encode())
    assert shown["email"] == f"‹email:{token}›" and shown["note"] == f"write to ‹email:{token}›"
    assert not {"etag", "digest"} & answer.headers.keys() and "bob" not in answer.headers["x-owner"]
    assert not {"range", "if-none-match"} & scripted.seen[0].keys()
    trail = front.trail()
    request, outcome = trail.of("action.requested")[0], trail.of("action.completed")[0]
    assert (request.verdict, request.attributes["policy.ids"]) == ("mask", "mask-all")
    assert (outcome.verdict, outcome.attributes["policy.ids"]) == ("mask", "mask-all")
    assert outcome.attributes["policy.reason"] == "personal data"
    assert outcome.payload == answer.content and outcome.payload_bytes == len(body)
    assert {(m.label, m.count, m.place) for m in outcome.masked} == {
        ("email", 1, "header.x-owner"),
        ("email", 1, "$.email"),
        ("payment_card", 1, "$.card"),
        ("email", 1, "$.note"),
    }
    assert shows_nothing(trail)
    assert int(trail.events[-1].attributes["bytes.to_agent"]) == len(answer.content)


def test_named_columns_keep_their_type_and_other_labels_stay(captured: Captured, scripted: Scripted) -> None:
    scripted.answer("/p", json.dumps([PERSON, PERSON]).encode(), JSON, "X-Level: gold")
    front = captured.front(scripted.port, labels=COLUMNS)
    with client(front, captured) as http:
        answer = http.get("/p")
    for shown in answer.json():
        assert shown["salary"] == 0 and shown["card"] == int(CARD) and shown["email"].startswith("‹email:")
    assert "gold" not in answer.headers["x-level"]


def test_an_answer_in_which_nothing_is_found_is_passed_on_as_it_was(captured: Captured, scripted: Scripted) -> None:
    packed = gzip.compress(b'{"n": [1, 2]}')
    scripted.answer("/n", packed, JSON, 'ETag: "abc"', "Content-Encoding: gzip")
    front = captured.front(scripted.port, labels=MASKED)
    with client(front, captured) as http:
        with http.stream("GET", "/n") as answer:
            assert b"".join(answer.iter_raw()) == packed
        assert answer.headers["etag"] == '"abc"'
        head = http.head("/n")
    assert head.status_code == 200 and not {"etag", "content-length"} & head.headers.keys()
    outcome = front.trail().of("action.completed")[0]
    assert (outcome.payload, outcome.masked, outcome.attributes["payload.decoded"]) == (b'{"n": [1, 2]}', [], "gzip")


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_a_coded_stream_stays_coded(captured: Captured, scripted: Scripted, coding: str) -> None:
    lines = b"".join(json.dumps(PERSON | {"n": n}).encode() + b"\n" for n in range(3000))
    packed = gzip.compress(lines) if coding == "gzip" else brotli.compress(lines)
    pieces = [packed[start : start + 700] for start in range(0, len(packed), 700)]
    scripted.stream("/l", pieces, "Content-Type: application/x-ndjson", f"Content-Encoding: {coding}")
    front = captured.front(scripted.port, labels=MASKED)
    with client(front, captured) as http:
        answer = http.get("/l", headers={"Accept-Encoding": f"{coding}, sdch"})
    shown = [json.loads(line) for line in answer.content.splitlines()]
    assert answer.headers["content-encoding"] == coding
    assert [item["n"] for item in shown] == list(range(3000)) and {item["card"] for item in shown} == {None}
    assert b"bob" not in answer.content and scripted.seen[0]["accept-encoding"] == coding
    trail = front.trail()
    assert shows_nothing(trail)
    assert sum(m.count for event in trail.events for m in event.masked) == 9000
    assert trail.of("action.completed")[0].payload_bytes == len(packed)


def test_a_long_answer_of_known_length_gets_no_wrong_length(captured: Captured, scripted: Scripted) -> None:
    text = f"mail {EMAIL} and more words\n".encode() * 8000
    scripted.answer("/t", text, "Content-Type: text/plain", "Content-MD5: x")
    front = captured.front(scripted.port, labels=MASKED)
    with client(front, captured) as http:
        answer = http.get("/t")
        assert http.get("/t").content == answer.content  # and the connection goes on
    assert (
        answer.headers["transfer-encoding"] == "chunked"
        and not {"content-length", "content-md5"} & answer.headers.keys()
    )
    assert answer.content.count(b"\n") == 8000 and b"bob" not in answer.content
    outcome = front.trail().of("action.completed")[0]
    assert outcome.payload_bytes == len(text) and outcome.is_truncated
    assert outcome.masked[0].label == "email"


def test_a_secret_across_pieces_and_trailers(captured: Captured, scripted: Scripted) -> None:
    pieces = [b'{"a": "', EMAIL[:6].encode(), EMAIL[6:].encode(), b'", "b": 4111', b"111111111111", b"}"]
    scripted.stream("/s", pieces, JSON, "Trailer: X-Mail", trailers=f"X-Mail: {EMAIL}\r\nDigest: x\r\n".encode())
    scripted.pause_s = 0.02
    front = captured.front(scripted.port, labels=MASKED)
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as raw:
        raw.sendall(request(captured, "/s", "Connection: close"))
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert b"bob" not in answer and b"4111" not in answer and b"Digest" not in answer
    assert b"X-Mail: \xe2\x80\xb9email:" in answer and answer.endswith(b"\r\n\r\n")


def test_events_are_shown_as_they_come(captured: Captured, scripted: Scripted) -> None:
    events = [f'data: {{"n": {n}, "email": "{EMAIL}"}}\n\n'.encode() for n in range(4)]
    pieces = [events[0][:20], events[0][20:] + events[1][:9], events[1][9:], *events[2:]]
    scripted.stream("/e", pieces, "Content-Type: text/event-stream")
    scripted.pause_s = 0.3
    front = captured.front(scripted.port, labels=MASKED)
    arrived: list[tuple[float, bytes]] = []
    with client(front, captured) as http, http.stream("GET", "/e") as answer:
        for piece in answer.iter_raw():
            arrived.append((time.monotonic(), piece))
    text = b"".join(piece for _, piece in arrived)
    assert text.count(b"\n\n") == 4 and b"bob" not in text
    assert arrived[-1][0] - arrived[0][0] > 0.5
    received = front.trail().of("data.received")
    assert received and all(b"bob" not in event.payload for event in received)
    assert any(event.masked for event in received)


def test_a_secret_that_a_model_streams_in_pieces(captured: Captured, scripted: Scripted) -> None:
    words = ["Pay with ", CARD[:4], CARD[4:9], CARD[9:], " or ask bob.", "smith@", "example.com", " so"]
    pieces = [f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': word}}]})}\n\n" for word in words]
    scripted.stream("/m", [*map(str.encode, pieces), b"data: [DONE]\n\n"], "Content-Type: text/event-stream")
    scripted.pause_s = 0.1
    front = captured.front(scripted.port, labels=MASKED)
    with client(front, captured) as http:
        answer = http.get("/m").text
    events = [line.removeprefix("data: ") for line in answer.split("\n\n") if line]
    assert len(events) == len(words) + 1 and events[-1] == "[DONE]"
    shown = "".join(json.loads(event)["choices"][0]["delta"]["content"] for event in events[:-1])
    assert re.fullmatch("Pay with ‹payment_card:[a-z2-7]{16}› or ask ‹email:[a-z2-7]{16}› so", shown)
    trail = front.trail()
    assert {m.label for event in trail.events for m in event.masked} == {"payment_card", "email"}
    assert not any(part in event.payload for event in trail.events for part in (b"smith", CARD[9:].encode()))


def test_a_word_at_the_end_of_a_piece_is_shown_when_nothing_follows(captured: Captured, scripted: Scripted) -> None:
    scripted.stream(
        "/q", [b'data: {"text": "so it"}\n\n', b'data: {"text": " is"}\n\n'], "Content-Type: text/event-stream"
    )
    scripted.pause_s = 1.6
    with client(captured.front(scripted.port, labels=MASKED), captured) as http, http.stream("GET", "/q") as answer:
        pieces = [(time.monotonic(), piece) for piece in answer.iter_raw() if piece]
    assert b"".join(piece for _, piece in pieces).count(b"\n\n") == 2
    assert pieces[-1][0] - pieces[0][0] > 0.3  # the first did not wait for the second


def test_a_text_that_pauses_is_shown_up_to_its_last_line(captured: Captured, scripted: Scripted) -> None:
    scripted.stream("/w", [f"hello {EMAIL}\nhalf a li".encode(), b"ne\n"], "Content-Type: text/plain")
    scripted.pause_s = 1.5
    front = captured.front(scripted.port, labels=MASKED)
    with client(front, captured) as http, http.stream("GET", "/w") as answer:
        began = time.monotonic()
        pieces = answer.iter_raw()
        first = next(pieces)
        assert (
            time.monotonic() - began < 1.4 and first.startswith(b"hello \xe2\x80\xb9email:") and first.endswith(b"\n")
        )
        assert b"".join(pieces) == b"half a line\n"


def test_a_secret_that_comes_after_a_long_pause_is_masked(captured: Captured, scripted: Scripted) -> None:
    scripted.stream("/y", [b"hello\npassword:\n", b"  hunter2Zebra!9\nbye\n"], "Content-Type: application/yaml")
    scripted.pause_s = 3.5
    with client(captured.front(scripted.port, labels=MASKED), captured) as http, http.stream("GET", "/y") as answer:
        pieces = [(time.monotonic(), piece) for piece in answer.iter_raw() if piece]
    before = [(at, piece) for at, piece in pieces if at < pieces[-1][0] - 0.5]
    assert b"".join(piece for _, piece in before) == b"hello\npassword:\n"  # shown, though nothing has followed yet
    whole = b"".join(piece for _, piece in pieces)
    assert b"hunter2" not in whole and whole.endswith(b"\nbye\n") and b"\xe2\x80\xb9password:" in whole


WITHHELD = [
    ("/png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), ["Content-Type: image/png"], "200 OK"),
    ("/grpc", b"\0\0\0\0\x05\x0a\x03abc" * 30, ["Content-Type: application/grpc"], "200 OK"),
    ("/sdch", b"whatever", [JSON, "Content-Encoding: sdch"], "200 OK"),
    ("/part", b"12345", ["Content-Range: bytes 0-4/9", "Content-Type: text/plain"], "206 Partial Content"),
    ("/cut", gzip.compress(b'{"a": 1}', mtime=0)[:-4], [JSON, "Content-Encoding: gzip"], "200 OK"),
    ("/long", b"\x89PNG" + bytes(range(256)) * 600, ["Content-Type: image/png"], "200 OK"),
]


@pytest.mark.parametrize(("path", "body", "headers", "status"), WITHHELD, ids=[case[0] for case in WITHHELD])
def test_what_cannot_be_masked_is_withheld(
    captured: Captured, scripted: Scripted, path: str, body: bytes, headers: list[str], status: str
) -> None:
    scripted.answer(path, body, *headers, status=status)
    front = captured.front(scripted.port, labels=MASKED)
    with client(front, captured) as http:
        answer = http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (403, "answer_withheld")
        assert "masked" in answer.json()["error"]
        written = http.post(path, content=b"x")
        assert (written.status_code, written.json()["code"]) == (403, "answer_withheld")
        assert "was carried out" in written.json()["error"]
    outcomes = [event for trail in front.trails() for event in trail.of("action.completed")]
    assert [(o.status, o.verdict, o.payload) for o in outcomes] == [("403", "mask", b"")] * 2
    assert outcomes[0].error == answer.json()["error"]


@pytest.mark.parametrize("case", [0, 1, 5])
def test_policy_may_rather_have_it_relayed(captured: Captured, scripted: Scripted, case: int) -> None:
    path, body, headers, status = WITHHELD[case]
    scripted.answer(path, body, *headers, status=status)
    front = captured.front(scripted.port, labels=RELAYED)
    with client(front, captured) as http:
        assert http.get(path).content == body
    trail = front.trail()
    assert any("neither JSON nor text" in event.attributes.get("mask.unread", "") for event in trail.events)


def test_a_stream_that_turns_out_unreadable_is_broken_off_after_what_was_shown(
    captured: Captured, scripted: Scripted
) -> None:
    good = gzip.compress(json.dumps([PERSON] * 50).encode())
    scripted.stream("/b", [good[:60], b"not gzip at all" * 50], JSON, "Content-Encoding: gzip")
    scripted.pause_s = 0.05
    front = captured.front(scripted.port, labels=MASKED)
    with client(front, captured) as http, pytest.raises(httpx.TransportError):
        http.get("/b")
    trail = front.trail()
    assert trail.of("action.completed")[0].error == "the answer cannot be masked as policy demands"
    assert trail.events[-1].status == "answer_withheld"


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "text/event-stream"])
def test_an_answer_that_breaks_off_shows_nothing_of_what_was_held(
    captured: Captured, scripted: Scripted, kind: str
) -> None:
    begin = {"text/plain": b"a line\n", "application/json": b'{"a": "', "text/event-stream": b"data: "}[kind]
    piece = begin + f"{EMAIL} card {CARD[:12]}".encode()
    chunk = b"%x\r\n%b\r\n" % (len(piece), piece)
    head = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: {kind}\r\n\r\n".encode()
    scripted.script["/k"] = [head, chunk, ABORT]
    scripted.pause_s = 0.6
    front = captured.front(scripted.port, labels=MASKED)
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as raw:
        raw.sendall(request(captured, "/k"))
        got = b""
        try:
            while part := raw.recv(65536):
                got += part
        except ConnectionResetError:
            pass
    assert b"bob" not in got and CARD[:12].encode() not in got and not got.endswith(b"0\r\n\r\n")
    assert shows_nothing(front.trail())


async def test_http2_on_both_sides(captured: Captured, upstream: Http2Upstream) -> None:
    checks = {"host": "localhost", "tls": "verify", "ca_file": upstream.certificate}
    front = await asyncio.to_thread(captured.front, upstream.port, upstream=checks, labels=MASKED)
    del front
    async with httpx.AsyncClient(proxy=captured.proxy_url, verify=trusting(captured), http2=True) as http:
        answer = await http.get(f"https://localhost:{upstream.port}/{EMAIL}")
        assert answer.http_version == "HTTP/2"
        assert answer.content.startswith("/‹email:".encode()) and b"bob" not in answer.content
        trailing = await http.get(f"https://localhost:{upstream.port}/trailers")
        assert trailing.content == b"body"


async def test_websocket_messages_from_the_upstream_are_masked(captured: Captured) -> None:
    big = json.dumps({"pad": "x" * 600_000, "email": EMAIL})

    async def talk(connection: ServerConnection) -> None:
        await connection.send(json.dumps(PERSON))
        await connection.send(f"to {EMAIL}")
        await connection.send(["frag", f"ments {EMAIL[:5]}", EMAIL[5:]])
        await connection.send(f"bytes {EMAIL}".encode())
        await connection.send(big)
        for text in (f"it is {KEY_ID[:12]}", f"{KEY_ID[12:]}."):
            await connection.send(text)
        for text in (KEY_ID[:12], f"{KEY_ID[12:]} it is"):
            await connection.send(json.dumps({"type": "response.text.delta", "delta": text}))
        assert await connection.recv() == EMAIL
        await connection.send(b"\x00\x01\x02" * 50)
        await connection.wait_closed()

    async with serve(talk, "127.0.0.1", 0) as server:
        front = await asyncio.to_thread(captured.front, server.sockets[0].getsockname()[1], labels=MASKED)
        url = f"ws://{front.host}/"
        async with connect(url, additional_headers=captured.bearer, max_size=None, proxy=None) as socket_:
            person = json.loads(await socket_.recv())
            assert person["card"] is None and person["email"].startswith("‹email:")
            assert (await socket_.recv()).startswith("to ‹email:")
            assert (await socket_.recv()).startswith("fragments ‹email:")
            assert (await socket_.recv()).startswith("bytes ‹email:".encode())
            parsed = json.loads(await socket_.recv())
            assert len(parsed["pad"]) == 600_000 and parsed["email"].startswith("‹email:")
            assert await socket_.recv() == f"it is {KEY_ID[:12]}"  # nothing is held back
            assert (await socket_.recv()).startswith("‹aws_access_key_id:")
            assert json.loads(await socket_.recv())["delta"] == KEY_ID[:12]
            delta = json.loads(await socket_.recv())["delta"]
            assert delta.startswith("‹aws_access_key_id:") and delta.endswith("› it is")
            await socket_.send(EMAIL)  # what the agent says is not masked on its way
            with pytest.raises(websockets.ConnectionClosedError):
                await socket_.recv()
        trail = await asyncio.to_thread(front.trail)
    received = trail.of("data.received")
    assert not any(b"bob.smith" in event.payload for event in received)
    assert not any(KEY_ID[12:].encode() in event.payload for event in received)
    assert [masked.place for event in received for masked in event.masked if "earlier" in masked.place] == [PLACE] * 2
    assert received[0].masked and trail.of("data.sent")[0].payload == EMAIL.encode()
    outcome = trail.of("action.completed")[0]
    assert (outcome.verdict, outcome.error) == ("mask", "a message cannot be masked as policy demands")
    assert trail.events[-1].status == "answer_withheld"


async def test_aiohttp_reads_a_masked_answer(captured: Captured, scripted: Scripted) -> None:
    scripted.answer("/p", gzip.compress(json.dumps(PERSON).encode()), JSON, "Content-Encoding: gzip")
    front = await asyncio.to_thread(captured.front, scripted.port, labels=MASKED)
    async with aiohttp.ClientSession(headers=captured.bearer) as session, session.get(f"{front.url}/p") as answer:
        assert (await answer.json())["email"].startswith("‹email:")
