"""A schema registry by Confluent's REST contract, in this process, on a free port."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

Answer = tuple[int, bytes]


class RegistryServer:
    """Gives one id per schema text, whatever the subject, as the real ones do. `answer` overrides what is said."""

    def __init__(self) -> None:
        self.schemas: list[str] = []
        self.subjects: dict[str, list[int]] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Callable[[str], Answer | None] = lambda path: None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def respond(self, method: str, path: str, body: bytes) -> Answer:
        """Status and body."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if method == "POST" and parts[0] == "subjects" and parts[2:] == ["versions"]:
            text = json.loads(body)["schema"]
            if text not in self.schemas:
                self.schemas.append(text)
            number = self.schemas.index(text) + 1
            self.subjects.setdefault(parts[1], []).append(number)
            return 200, json.dumps({"id": number}).encode()
        if method == "GET" and parts[:2] == ["schemas", "ids"] and len(parts) == 3:
            if 1 <= int(parts[2]) <= len(self.schemas):
                return 200, json.dumps({"schema": self.schemas[int(parts[2]) - 1]}).encode()
            return 404, json.dumps({"error_code": 40403, "message": f"Schema {parts[2]} not found"}).encode()
        return 404, json.dumps({"error_code": 404, "message": "HTTP 404 Not Found"}).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                registry.asked.append(f"{self.command} {unquote(self.path)}")
                registry.headers.append(dict(self.headers))
                status, data = registry.answer(self.path) or registry.respond(self.command, self.path, body)
                self.send_response(status)
                self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = _serve

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


@contextmanager
def run_registry() -> Iterator[RegistryServer]:
    """A registry while the block lasts."""
    server = RegistryServer()
    try:
        yield server
    finally:
        server.close()
