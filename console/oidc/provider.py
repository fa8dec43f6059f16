"""One OpenID provider: what it says of itself, its keys, and the three ways in which Custody talks to it."""

import secrets
import threading
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote, urlencode

from console.oidc.errors import ProviderFailed, TokenRefused, open_web
from console.oidc.keys import Keys
from console.oidc.tokens import MAX_TOKEN_CHARS, Rules, verify
from schemas.identity_config import Oidc
from schemas.web import Web

WELL_KNOWN: Final = "/.well-known/openid-configuration"
DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
FRESH_S: Final = 3600.0
MIN_POLL_S: Final = 1.0
SLOW_DOWN_S: Final = 5.0
MAX_DEVICE_S: Final = 1800.0


@dataclass(frozen=True, slots=True)
class Device:
    """What a person is shown, and what stays here, in the device flow (RFC 8628)."""

    device_code: str
    user_code: str
    uri: str
    whole_uri: str
    interval_s: float
    ends_at: float


class Pending(Exception):  # an outcome: ask again later
    """The person has not decided yet. `is_slow`: and asks for longer pauses."""

    def __init__(self, *, is_slow: bool) -> None:
        super().__init__("pending")
        self.is_slow = is_slow


class Provider:
    """Thread-safe; nothing is asked before it is needed. `client_secret` "" for a public client."""

    def __init__(
        self, settings: Oidc, client_secret: str = "", clock: Callable[[], float] = time.time, web: Web | None = None
    ) -> None:
        self._settings = settings
        self._secret = client_secret
        self._clock = clock
        self._web = web or open_web(settings.ca_file)
        self._lock = threading.Lock()
        self._document: Mapping[str, Any] = {}
        self._read_at = 0.0
        self._keys = Keys(lambda: self._web.get(self._endpoint("jwks_uri")))

    def authorize_url(self, redirect_url: str, state: str, nonce: str, challenge: str) -> str:
        """Where a browser signs in: authorization code with PKCE. Raises ProviderFailed."""
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_url,
            "scope": " ".join(self._settings.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        endpoint = self._endpoint("authorization_endpoint")
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    def exchange_code(self, code: str, redirect_url: str, verifier: str) -> str:
        """The ID token for a code, not yet verified. Raises TokenRefused, ProviderFailed."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_url,
            "code_verifier": verifier,
        }
        status, document = self._post("token_endpoint", form)
        if status != 200:
            raise TokenRefused(f"the provider does not take the code: {error_of(document)}")
        return id_token_of(document)

    def start_device(self) -> Device:
        """Begin a sign-in on another device. Raises ProviderFailed."""
        status, document = self._post("device_authorization_endpoint", {"scope": " ".join(self._settings.scopes)})
        try:
            if status != 200:
                raise ProviderFailed(f"the provider offers no device flow to this client: {error_of(document)}")
            lasts_s = min(float(document["expires_in"]), MAX_DEVICE_S)
            uri, whole_uri = str(document["verification_uri"]), str(document.get("verification_uri_complete", ""))
            for url in filter(None, (uri, whole_uri)):
                self._web.check_url(url)
            return Device(
                str(document["device_code"]),
                str(document["user_code"]),
                uri,
                whole_uri,
                max(MIN_POLL_S, float(document.get("interval", SLOW_DOWN_S))),
                self._clock() + lasts_s,
            )
        except (KeyError, ValueError, TypeError):
            raise ProviderFailed("the provider's answer to a device request cannot be read") from None

    def poll_device(self, device: Device) -> str:
        """The ID token once the person agreed. Raises Pending, TokenRefused, ProviderFailed."""
        status, document = self._post("token_endpoint", {"grant_type": DEVICE_GRANT, "device_code": device.device_code})
        if status == 200:
            return id_token_of(document)
        error = error_of(document)
        if error in ("authorization_pending", "slow_down"):
            raise Pending(is_slow=error == "slow_down")
        raise TokenRefused(
            {"access_denied": "the sign-in was denied", "expired_token": "the sign-in took too long"}.get(
                error, f"the provider says {error}"
            )
        )

    def verify_id_token(self, token: str, nonce: str | None = None) -> dict[str, Any]:
        """The claims of an ID token for Custody. Raises TokenRefused, ProviderFailed."""
        settings = self._settings
        rules = Rules(settings.issuer, settings.client_id, settings.algorithms, settings.max_skew_s, nonce)
        return verify(token, rules, self._keys.find, self._clock())

    def _post(self, endpoint: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        settings = self._settings
        if not self._secret:
            return self._web.post(self._endpoint(endpoint), {**form, "client_id": settings.client_id})
        # RFC 6749, 2.3.1: both parts are form-encoded first.
        login = f"{quote(settings.client_id, safe='')}:{quote(self._secret, safe='')}"
        headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}
        return self._web.post(self._endpoint(endpoint), form, headers)

    def _endpoint(self, name: str) -> str:
        url = self._discover().get(name)
        if not isinstance(url, str) or not url:
            raise ProviderFailed(f"the provider names no {name}")
        self._web.check_url(url)
        return url

    def _discover(self) -> Mapping[str, Any]:
        with self._lock:
            now = time.monotonic()
            if not self._document or now - self._read_at > FRESH_S:
                issuer = self._settings.issuer
                document = self._web.get(issuer.rstrip("/") + WELL_KNOWN)
                if document.get("issuer") != issuer:
                    raise ProviderFailed("the provider calls itself another issuer than identity.oidc.issuer")
                self._document, self._read_at = document, now
            return self._document


def id_token_of(document: Mapping[str, Any]) -> str:
    """The ID token of a token answer. Raises TokenRefused."""
    token = document.get("id_token")
    if not isinstance(token, str) or len(token) > MAX_TOKEN_CHARS:
        raise TokenRefused("the provider gave no ID token: is `openid` among the scopes?")
    return token


def error_of(document: Mapping[str, Any]) -> str:
    """The error code of RFC 6749, as text that harms no terminal."""
    code = str(document.get("error", "unknown"))[:80]
    return code if code.isascii() and code.isprintable() else "unknown"


def make_verifier() -> tuple[str, str]:
    """PKCE (RFC 7636): the verifier, 256 random bits, and its S256 challenge."""
    verifier = secrets.token_urlsafe(32)
    return verifier, urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
