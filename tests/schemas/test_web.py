"""A server that misbehaves."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from schemas.errors import Unreachable
from schemas.web import MAX_ANSWER_BYTES, Web

ANSWERS = {
    "/fine": (200, b'{"a": 1}'),
    "/error": (500, b'{"error": "x"}'),
    "/list": (200, b"[]"),
    "/html": (200, b"<html>"),
    "/deep": (200, b"[" * 100_000),
    "/huge": (200, b" " * (MAX_ANSWER_BYTES + 1)),
}


class Handler(BaseHTTPRequestHandler):
    visited: list[str]

    def do_GET(self) -> None:
        self.visited.append(self.path)
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "/fine")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        status, body = ANSWERS[self.path]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except ConnectionError:
            pass

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    visited: list[str] = []
    running = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"visited": visited}))
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_address[1]}", visited
    finally:
        running.shutdown()
        running.server_close()
        thread.join(5)


def test_a_json_object_is_read(server: tuple[str, list[str]]) -> None:
    assert Web().get(server[0] + "/fine") == {"a": 1}


@pytest.mark.parametrize("path", ["/error", "/list", "/html", "/deep", "/huge"])
def test_anything_else_is_a_failure_of_the_server(server: tuple[str, list[str]], path: str) -> None:
    with pytest.raises(Unreachable):
        Web().get(server[0] + path)


def test_redirects_are_not_followed(server: tuple[str, list[str]]) -> None:
    with pytest.raises(Unreachable, match="302"):
        Web().get(server[0] + "/elsewhere")
    assert server[1] == ["/elsewhere"]


def test_one_that_says_nothing_is_waited_for_only_so_long() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unreachable, match="does not answer"):
        Web(timeout_s=0.2).get(f"http://127.0.0.1:{silent.getsockname()[1]}/")


@pytest.mark.parametrize(
    "url",
    [
        "http://provider.example/x",
        "ftp://127.0.0.1/x",
        "file:///x",
        "http://127.0.0.1.evil.example/",
        "//x",
        "http://[",
    ],
)
def test_clear_text_leaves_this_host_never(url: str) -> None:
    with pytest.raises(Unreachable, match="https"):
        Web().check_url(url)
    with pytest.raises(Unreachable):
        Web().get(url)


def test_a_missing_ca_file_is_said() -> None:
    with pytest.raises(Unreachable, match="nowhere"):
        Web("nowhere.pem")


def test_a_host_may_be_named_that_is_asked_in_the_clear() -> None:
    web = Web(plain=frozenset({"metadata.internal"}))
    web.check_url("http://metadata.internal/x")
    for url in ("http://metadata.internal.evil/x", "http://metadata.internal:81/x", "http://x@metadata.internal/"):
        with pytest.raises(Unreachable):
            web.check_url(url)
