"""What the console makes of the key holder's answers, without one: those of a real one are in test_service.py."""

import json
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer
from typing import Any

import pytest

from console.control import Place, find_place
from console.tracing import SOCKET, TraceRefused, ask
from schemas.errors import ConfigError, Unreachable
from schemas.runtime import Home

VALUE = b"very-secret-value"


class Answers(UnixStreamServer):
    """A stand-in that gives one answer to every request: what no real key holder says must be survived, too."""

    def __init__(self, directory: Path, status: int, body: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

            def address_string(self) -> str:
                return ""

        super().__init__(str(directory / SOCKET), Handler)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def place(bare_home: Home) -> Place:
    bare_home.run.mkdir(exist_ok=True)
    return find_place()


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (429, b'{"error": "rate limited", "retry_after_s": 9}', TraceRefused, "rate limited; ask again in 9 s"),
        (401, b'{"error": "unknown caller"}', TraceRefused, "unknown caller"),
        (400, b'{"error": "the value has 1 to 16384 bytes"}', ConfigError, "16384"),
        (503, b'{"error": "the audit log does not answer"}', Unreachable, "audit log"),
        (200, b"<html>", Unreachable, "cannot be read"),
        (200, b"[]", Unreachable, "cannot be read"),
        (200, json.dumps({"tokens": ["a"]}).encode(), Unreachable, "cannot be read"),
    ],
)
def test_every_answer_is_a_result_or_a_clear_error(
    place: Place, status: int, body: bytes, error: type[Exception], words: str
) -> None:
    with Answers(place.home.run, status, body) as server:
        try:
            with pytest.raises(error, match=words) as caught:
                ask(place, VALUE)
        finally:
            server.shutdown()
    assert VALUE.decode() not in str(caught.value)


def test_no_key_holder_is_said(place: Place) -> None:
    with pytest.raises(Unreachable, match="key holder does not answer"):
        ask(place, VALUE)
