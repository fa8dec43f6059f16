"""Secrets of a Kubernetes cluster, by its API server, as a service account that may get them."""

import binascii
from base64 import b64decode
from pathlib import Path
from typing import Final

from ingest.secrets.base import SERVICE_ACCOUNT, Secret, text_of
from schemas.errors import ConfigError, Unreachable
from schemas.secret_references import Reference
from schemas.secrets_config import Kubernetes
from schemas.web import Web

REFUSALS: Final = {401: "the token is not accepted", 403: "permission denied", 404: "there is no such secret"}


class KubernetesSource:
    """The token is read anew each time: the kubelet rotates it."""

    def __init__(self, settings: Kubernetes, timeout_s: float) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._web: Web | None = None

    def fetch(self, reference: Reference) -> Secret:
        settings = self._settings
        if self._web is None:
            ca_file = settings.ca_file or str(SERVICE_ACCOUNT / "ca.crt")
            ca_file = ca_file if settings.url.startswith("https:") else ""
            self._web = Web(ca_file, timeout_s=self._timeout_s)
        try:
            token = (
                (Path(settings.token_file) if settings.token_file else SERVICE_ACCOUNT / "token")
                .read_text("ascii")
                .strip()
            )
        except (OSError, UnicodeDecodeError):
            raise ConfigError("the service account's token cannot be read (secrets.kubernetes.token_file)") from None
        namespace, _, name = reference.path.partition("/")
        url = f"{settings.url}/api/v1/namespaces/{namespace}/secrets/{name}"
        status, document = self._web.ask("GET", url, headers={"Authorization": f"Bearer {token}"})
        if status in REFUSALS:
            raise ConfigError(f"Kubernetes, {reference.path}: {REFUSALS[status]}")
        if status != 200:
            raise Unreachable(f"Kubernetes answers {status}")
        data = document.get("data")
        encoded = text_of(data.get(reference.field) if isinstance(data, dict) else None, reference)
        try:
            return Secret(text_of(b64decode(encoded, validate=True).decode(), reference))
        except (binascii.Error, ValueError):
            raise ConfigError(f"Kubernetes, {reference.path}: {reference.field} is not text") from None
