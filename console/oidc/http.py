"""Requests to an identity provider: bounded, over TLS unless it is this host, never redirected."""

import json
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from console.oidc.errors import ProviderFailed
from schemas.settings_base import is_loopback

TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 512 << 10


class Web:
    """A pool of connections. Thread-safe."""

    def __init__(self, ca_file: str = "") -> None:
        try:
            context = ssl.create_default_context(cafile=ca_file or None)
        except OSError as error:
            raise ProviderFailed(f"{ca_file}: {error.strerror or error}") from None
        self._pool = urllib3.PoolManager(
            num_pools=8, maxsize=4, timeout=urllib3.Timeout(total=TIMEOUT_S), retries=False, ssl_context=context
        )

    def get(self, url: str) -> dict[str, Any]:
        """A JSON object. Raises ProviderFailed."""
        status, document = self._ask("GET", url, None, {})
        if status != 200:
            raise ProviderFailed(f"{host_of(url)} answers {status}")
        return document

    def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of a form. Raises ProviderFailed."""
        return self._ask("POST", url, urlencode(form).encode(), headers)

    def _ask(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        check_url(url)
        sent = {"Accept": "application/json", **headers}
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            response = self._pool.request(
                method, url, body=body, headers=sent, redirect=False, preload_content=False, decode_content=False
            )
            try:
                raw = response.read(MAX_ANSWER_BYTES + 1)
            finally:
                response.release_conn()
        except (HTTPError, OSError) as error:
            raise ProviderFailed(f"{host_of(url)} does not answer ({type(error).__name__})") from None
        if len(raw) > MAX_ANSWER_BYTES:
            response.close()
            raise ProviderFailed(f"{host_of(url)} answers with more than {MAX_ANSWER_BYTES} bytes")
        try:
            document = json.loads(raw)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise ProviderFailed(f"{host_of(url)} answers {response.status}, and not with a JSON object")
        return response.status, document


def check_url(url: str) -> None:
    """Raises ProviderFailed for what is neither https nor this host."""
    try:
        parts = urlsplit(url)
        is_fine = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    except ValueError:
        is_fine = False
    if not is_fine:
        raise ProviderFailed("the provider names an address that is not https")


def host_of(url: str) -> str:
    """For messages."""
    return urlsplit(url).netloc.rpartition("@")[2] or "the provider"
