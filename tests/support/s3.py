"""S3 for tests: MinIO, a real server, where `make test-servers` built it; and a small fake that can be made to fail.

The fake keeps objects in memory, knows conditional puts, and checks no signature.
"""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, unquote, urlsplit
from urllib.request import urlopen
from xml.sax.saxutils import escape

from schemas.config import Transparency
from schemas.runtime import Home
from tests.support.ports import get_free_port

ACCESS_KEY, SECRET_KEY, BUCKET = "custody-test", "for-this-test-only", "evidence"


def make_settings(endpoint: str, prefix: str = "", **values: object) -> Transparency:
    """Settings for a bucket at an endpoint; the secret is in the home that `make_home` gives."""
    place = {"storage": f"s3://{BUCKET}/{prefix}", "s3_endpoint": endpoint, "s3_access_key": ACCESS_KEY}
    return Transparency.model_validate(place | {"s3_secret_key": "file:s3.secret"} | values)


def make_home(directory: Path) -> Home:
    """A home with nothing but the bucket's secret."""
    secrets = directory / "home" / "secrets"
    secrets.mkdir(parents=True, mode=0o700, exist_ok=True)
    (secrets / "s3.secret").write_text(SECRET_KEY)
    (secrets / "s3.secret").chmod(0o600)
    return Home(directory / "home")


@dataclass
class FakeS3:
    """`objects` by key. `answers`: statuses to give next, before all else; `lose`: answers that get lost."""

    endpoint: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    answers: list[int] = field(default_factory=list)
    lose: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def run_fake_s3() -> Iterator[FakeS3]:
    """A fake, on a port of its own."""
    fake = FakeS3()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self._refuses():
                return
            key, there = self._key(), fake.objects.get(self._key())
            wanted = self.headers.get("If-Match")
            if (self.headers.get("If-None-Match") == "*" and there is not None) or (
                wanted is not None and (there is None or wanted != _etag(there))
            ):
                self._answer(412)
                return
            fake.objects[key] = data
            if fake.lose:
                fake.lose -= 1
                self.close_connection = True
                return
            self._answer(200, etag=_etag(data))

        def do_GET(self) -> None:
            if self._refuses():
                return
            query = parse_qs(urlsplit(self.path).query)
            if "list-type" in query:
                prefix = query["prefix"][0]
                keys = "".join(f"<Contents><Key>{escape(key)}</Key></Contents>" for key in sorted(fake.objects)
                               if key.startswith(prefix))  # fmt: skip
                self._answer(200, f'<L xmlns="http://s3/">{keys}</L>'.encode())
                return
            data = fake.objects.get(self._key())
            self._answer(404, b"<Code>NoSuchKey</Code>") if data is None else self._answer(200, data, _etag(data))

        def do_DELETE(self) -> None:
            if not self._refuses():
                fake.objects.pop(self._key(), None)
                self._answer(204)

        def _key(self) -> str:
            return unquote(urlsplit(self.path).path).removeprefix(f"/{BUCKET}/")

        def _refuses(self) -> bool:
            fake.asked.append((self.command, self._key()))
            if not fake.answers:
                return False
            self._answer(fake.answers.pop(0), b"<Code>NoSuchBucket</Code>")
            return True

        def _answer(self, status: int, body: bytes = b"", etag: str = "") -> None:
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            if etag:
                self.send_header("ETag", etag)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _etag(data: bytes) -> str:
    return f'"{md5(data, usedforsecurity=False).hexdigest()}"'


@contextmanager
def run_minio(program: Path, directory: Path) -> Iterator[str]:
    """A MinIO with the bucket; its endpoint."""
    (directory / "data" / BUCKET).mkdir(parents=True)
    address = f"127.0.0.1:{get_free_port()}"
    login = {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY, "MINIO_BROWSER": "off"}
    with (directory / "minio.log").open("wb") as output:
        process = subprocess.Popen(
            [str(program), "server", str(directory / "data"), "--address", address, "--quiet"],
            env=os.environ | login | {"HOME": str(directory), "MINIO_UPDATE": "off"}, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not _is_live(f"http://{address}/minio/health/live"):
            assert process.poll() is None and time.monotonic() < deadline, (directory / "minio.log").read_text()[-2000:]
            time.sleep(0.05)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


def _is_live(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (HTTPError, URLError, OSError):
        return False
