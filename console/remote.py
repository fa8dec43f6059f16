"""The command as a client of the API: a person's login, kept in a file of mode 0600, and requests with it."""

import http.client
import json
import ssl
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from schemas.config import Settings
from schemas.errors import ConfigError, CustodyError, Fault, Unreachable
from schemas.runtime import Home, read_run_state, write_private
from schemas.settings_base import is_loopback

FILE: Final = "login.json"
TIMEOUT_S: Final = 150.0
MAX_ANSWER_BYTES: Final = 64 << 20


class ApiRefused(CustodyError):
    """The API does not do it; the message is its own."""

    fault = Fault.CALLER

    def __init__(self, status: int, message: str, name: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.name = name  # what the API calls this problem


@dataclass(frozen=True, slots=True)
class Login:
    """Where somebody is signed in, and with what."""

    api: str
    token: str = field(repr=False)
    principal: str
    expires_at: int
    ca_file: str = ""


def read_login(home: Home) -> Login | None:
    """The login of this home; None when nobody is signed in. Raises ConfigError."""
    path = home.root / FILE
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{FILE} must have mode 0600")
        document = json.loads(path.read_bytes())
        return Login(**{name: document[name] for name in Login.__slots__})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(f"{FILE} cannot be read: `custody login` writes it anew") from None


def write_login(home: Home, login: Login) -> None:
    """Keep a login, for this user only."""
    write_private(home.root / FILE, json.dumps(asdict(login)).encode())


def remove_login(home: Home) -> None:
    """Forget the login."""
    (home.root / FILE).unlink(missing_ok=True)


def default_url(home: Home, settings: Settings) -> str:
    """Where this home's own API listens."""
    state = read_run_state(home, "api")
    port = state.ports.get("http") if state is not None and state.is_alive() else None
    scheme = "https" if settings.api.tls_certificate else "http"
    return f"{scheme}://127.0.0.1:{port or settings.ports.api}"


@dataclass(frozen=True, slots=True)
class Remote:
    """The API at an address, asked with a token. Raises ConfigError for an address in clear text to another host."""

    url: str
    token: str = field(default="", repr=False)
    ca_file: str = ""

    def ask(self, method: str, path: str, body: Any = None, form: bytes | None = None) -> Any:
        """The JSON document of an answer, None without one. Raises ApiRefused, Unreachable, ConfigError."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = form
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        connection = self._connect()
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            status, raw = response.status, response.read(MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"the API at {self.url} does not answer ({type(error).__name__})") from None
        finally:
            connection.close()
        return _read(status, raw)

    def _connect(self) -> http.client.HTTPConnection:
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise ConfigError("the API's address is not a URL") from None
        if parts.scheme == "http" and is_loopback(host):
            return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        if parts.scheme != "https" or not host:
            raise ConfigError("the API's address must be https://…, or http:// on this host")
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except OSError as error:
            raise ConfigError(f"{Path(self.ca_file).name}: {error.strerror or error}") from None
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)


def _read(status: int, raw: bytes) -> Any:
    try:
        document = json.loads(raw) if raw else None
    except (ValueError, RecursionError):
        raise Unreachable(f"the API's answer ({status}) cannot be read") from None
    if status < http.client.BAD_REQUEST:
        return document
    told = document if isinstance(document, dict) else {}
    detail = str(told.get("detail") or told.get("error_description") or told.get("title") or status)
    faults = told.get("faults")
    lines = [detail, *(str(fault) for fault in faults)] if isinstance(faults, list) else [detail]
    if status == http.client.SERVICE_UNAVAILABLE:
        raise Unreachable(f"the API says: {detail}")
    raise ApiRefused(status, "\n".join(lines), str(told.get("type", "")).rpartition(":")[2])
