"""JSON over HTTP from servers that others run: bounded in time and size, never redirected, over TLS off this host."""

import json
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from schemas.errors import Unreachable
from schemas.settings_base import is_loopback

TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 512 << 10


class Web:
    """A pool of connections. Thread-safe. `failure` is what is raised; `plain` hosts may be asked without TLS."""

    def __init__(
        self,
        ca_file: str = "",
        *,
        timeout_s: float = TIMEOUT_S,
        failure: type[Unreachable] = Unreachable,
        plain: frozenset[str] = frozenset(),
    ) -> None:
        self._failure = failure
        self._plain = plain
        try:
            context = ssl.create_default_context(cafile=ca_file or None)
        except OSError as error:
            raise failure(f"{ca_file}: {error.strerror or error}") from None
        self._pool = urllib3.PoolManager(
            num_pools=8, maxsize=4, timeout=urllib3.Timeout(total=timeout_s), retries=False, ssl_context=context
        )

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """A JSON object. Raises `failure` for any status but 200."""
        status, document = self.ask("GET", url, headers=headers)
        if status != 200:
            raise self._failure(f"{host_of(url)} answers {status}")
        return document

    def post(
        self, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of a form. Raises `failure`."""
        sent = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self.ask("POST", url, urlencode(form).encode(), sent)

    def ask(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON object. Raises `failure`, whose message names the host and nothing that was sent."""
        self.check_url(url)
        sent = {"Accept": "application/json", **(headers or {})}
        try:
            response = self._pool.request(
                method, url, body=body, headers=sent, redirect=False, preload_content=False, decode_content=False
            )
            try:
                raw = response.read(MAX_ANSWER_BYTES + 1)
            finally:
                response.release_conn()
        except (HTTPError, OSError) as error:
            raise self._failure(f"{host_of(url)} does not answer ({type(error).__name__})") from None
        if len(raw) > MAX_ANSWER_BYTES:
            response.close()
            raise self._failure(f"{host_of(url)} answers with more than {MAX_ANSWER_BYTES} bytes")
        try:
            document = json.loads(raw)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise self._failure(f"{host_of(url)} answers {response.status}, and not with a JSON object")
        return response.status, document

    def check_url(self, url: str) -> None:
        """Raises `failure` for what is neither https nor this host nor one of `plain`."""
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
            is_fine = parts.scheme == "https" or (
                parts.scheme == "http" and (is_loopback(host) or parts.netloc in self._plain)
            )
        except ValueError:
            is_fine = False
        if not is_fine:
            raise self._failure("an address is not https")


def host_of(url: str) -> str:
    """For messages."""
    return urlsplit(url).netloc.rpartition("@")[2] or "the server"
