"""HashiCorp Vault and OpenBao over their HTTP API: KV version 2, and the database engine's short-lived logins."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from ingest.secrets.base import SERVICE_ACCOUNT, Secret, text_of
from schemas.errors import ConfigError, Unreachable
from schemas.resources import resolve_secret
from schemas.runtime import Home
from schemas.secret_references import Reference
from schemas.secrets_config import Vault
from schemas.web import Web

RENEW_AT: Final = 0.7
"""A login is made anew after this part of its life."""
FORBIDDEN: Final = 403


class VaultSource:
    """Logs in when it has to, once more when Vault says that the token no longer holds."""

    def __init__(
        self, settings: Vault, home: Home, timeout_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._home = home
        self._web = Web(settings.ca_file, timeout_s=timeout_s)
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._token_until = 0.0

    def fetch(self, reference: Reference) -> Secret:
        if reference.kind == "vault-db":
            mount, _, role = reference.path.rpartition("/")
            answer = self._read(f"{mount}/creds/{role}", reference)
            data = _object(answer.get("data"))
            user = text_of(data.get("username"), reference)
            return Secret(text_of(data.get("password"), reference), user, _seconds(answer.get("lease_duration")))
        mount, _, path = reference.path.partition("/")
        data = _object(_object(self._read(f"{mount}/data/{path}", reference).get("data")).get("data"))
        return Secret(text_of(data.get(reference.field), reference))

    def _read(self, path: str, reference: Reference) -> dict[str, Any]:
        status, document = self._ask(path, is_fresh=False)
        if status == FORBIDDEN:  # the token was revoked or has expired, or may not: a new one tells
            status, document = self._ask(path, is_fresh=True)
        if status == 200:
            return document
        if status in (400, FORBIDDEN, 404):
            why = {404: "there is no such secret", FORBIDDEN: "permission denied"}.get(status, "refused")
            raise ConfigError(f"Vault, {reference.kind}:{reference.path}: {why}")
        raise Unreachable(f"Vault answers {status}")

    def _ask(self, path: str, *, is_fresh: bool) -> tuple[int, dict[str, Any]]:
        headers = {"X-Vault-Token": self._login(is_fresh=is_fresh), "X-Vault-Request": "true"}
        return self._web.ask("GET", f"{self._settings.url}/v1/{quote(path)}", headers=headers | self._namespace())

    def _login(self, *, is_fresh: bool) -> str:
        settings = self._settings
        if settings.auth == "token":
            return resolve_secret(settings.token, self._home)
        with self._lock:
            if is_fresh or not self._token or self._clock() >= self._token_until:
                self._token, lasts_s = self._log_in()
                self._token_until = self._clock() + lasts_s * RENEW_AT
            return self._token

    def _log_in(self) -> tuple[str, float]:
        settings = self._settings
        if settings.auth == "kubernetes":
            body = {"role": settings.role, "jwt": _read_file(settings.jwt_file or str(SERVICE_ACCOUNT / "token"))}
        else:
            body = {"role_id": settings.role, "secret_id": resolve_secret(settings.secret_id, self._home)}
        url = f"{settings.url}/v1/auth/{settings.auth_mount or settings.auth}/login"
        status, document = self._web.ask("POST", url, json.dumps(body).encode(), self._namespace())
        auth = _object(document.get("auth"))
        token = auth.get("client_token")
        if status >= 500:
            raise Unreachable(f"Vault answers {status}")
        if status != 200 or not isinstance(token, str) or not token:
            raise ConfigError(f"Vault refuses the login by {settings.auth} ({status})")
        return token, _seconds(auth.get("lease_duration"))

    def _namespace(self) -> dict[str, str]:
        return {"X-Vault-Namespace": self._settings.namespace} if self._settings.namespace else {}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0.0


def _read_file(path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{Path(path).name}: {getattr(error, 'strerror', None) or 'is not text'}") from None
