"""Google Cloud Secret Manager, with the access token that the metadata server gives to this host or workload."""

import binascii
import threading
import time
from base64 import b64decode
from collections.abc import Callable
from typing import Final

from ingest.secrets.base import Secret
from ingest.secrets.fields import pick
from schemas.errors import ConfigError, Unreachable
from schemas.secret_references import Reference
from schemas.secrets_config import Gcp
from schemas.web import Web

TOKEN_PATH: Final = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105 - an address
RENEW_AT: Final = 0.7
REFUSALS: Final = {401: "the token is not accepted", 403: "permission denied", 404: "there is no such secret"}


class GcpSource:
    """Asks for a token when the last one is old."""

    def __init__(self, settings: Gcp, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._web = Web(timeout_s=timeout_s, plain=frozenset({settings.metadata_host}))
        self._lock = threading.Lock()
        self._token = ""
        self._token_until = 0.0

    def fetch(self, reference: Reference) -> Secret:
        project, name, *version = reference.path.split("/")
        path = f"projects/{project}/secrets/{name}/versions/{version[0] if version else 'latest'}"
        headers = {"Authorization": f"Bearer {self._access_token()}"}
        status, document = self._web.ask("GET", f"{self._settings.url}/v1/{path}:access", headers=headers)
        if status in REFUSALS:
            raise ConfigError(f"Secret Manager, {reference.path}: {REFUSALS[status]}")
        if status != 200:
            raise Unreachable(f"Secret Manager answers {status}")
        payload = document.get("payload")
        try:
            text = b64decode(payload["data"], validate=True).decode() if isinstance(payload, dict) else ""
        except (KeyError, TypeError, binascii.Error, ValueError):
            raise ConfigError(f"Secret Manager, {reference.path}: it is not text") from None
        return Secret(pick(text, reference))

    def _access_token(self) -> str:
        with self._lock:
            if not self._token or self._clock() >= self._token_until:
                url = f"http://{self._settings.metadata_host}{TOKEN_PATH}"
                document = self._web.get(url, {"Metadata-Flavor": "Google"})
                token, lasts_s = document.get("access_token"), document.get("expires_in")
                if not isinstance(token, str) or not isinstance(lasts_s, int):
                    raise Unreachable("the metadata server's answer is no access token")
                self._token, self._token_until = token, self._clock() + lasts_s * RENEW_AT
            return self._token
