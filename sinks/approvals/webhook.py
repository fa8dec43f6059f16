"""A signed POST of JSON. Headers and signature are those of Standard Webhooks, so that receivers find libraries.

    webhook-id: the approval's id, the same for every attempt: what repeats are told by
    webhook-timestamp: seconds since the epoch, of this attempt
    webhook-signature: v1,base64(HMAC-SHA-256(secret, "id.timestamp.body"))

A secret `whsec_…` is base64 of the key; any other text is the key itself.
"""

import base64
import binascii
import hashlib
import hmac
import http.client
import ssl
import time
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from schemas.config import is_loopback
from schemas.errors import ConfigError, CustodyError, Fault

TIMEOUT_S: Final = 10.0
MAX_RETRY_AFTER_S: Final = 300.0
MIN_SECRET_BYTES: Final = 16
PREFIX: Final = "whsec_"
AGAIN: Final = frozenset({408, 425, 429})
"""Answers that ask for another attempt, besides all of 500 and above."""


class DeliveryFailed(CustodyError):
    """A receiver did not take a message. `is_final`: it will not take it another time either."""

    fault = Fault.PEER
    is_retryable = True

    def __init__(self, message: str, *, is_final: bool = False, after_s: float = 0.0) -> None:
        super().__init__(message)
        self.is_final = is_final
        self.after_s = after_s


def read_secret(text: str) -> bytes:
    """The key that a secret's text means. Raises ConfigError."""
    key = text.encode()
    if text.startswith(PREFIX):
        try:
            key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise ConfigError("a secret that begins with whsec_ goes on in base64") from None
    if len(key) < MIN_SECRET_BYTES:
        raise ConfigError(f"the secret of a webhook has at least {MIN_SECRET_BYTES} bytes")
    return key


def sign(key: bytes, id: str, timestamp: int, body: bytes) -> str:
    """The value of webhook-signature."""
    digest = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()


@dataclass(frozen=True, slots=True)
class Webhook:
    """One receiver's address. Redirects are not followed; each POST is a connection of its own."""

    url: str = field(repr=False)  # of Slack and Teams it is a secret
    key: bytes = field(default=b"", repr=False)
    ca_file: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if parts.scheme not in ("http", "https") or not host or not self.url.isascii() or "@" in parts.netloc:
            raise ConfigError("the address of a receiver is https://host/path")
        if parts.scheme == "http" and not is_loopback(host):
            raise ConfigError("the address of a receiver is https, unless it is on this machine")

    def send(self, id: str, body: bytes) -> None:
        """Deliver once. Raises DeliveryFailed."""
        timestamp = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "custody",
            "webhook-id": id,
            "webhook-timestamp": str(timestamp),
        }
        if self.key:
            headers["webhook-signature"] = sign(self.key, id, timestamp, body)
        parts = urlsplit(self.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = self._connect()
        try:
            connection.request("POST", target, body, headers)
            answer = connection.getresponse()
            answer.read(1 << 16)
        except (OSError, http.client.HTTPException) as error:
            raise DeliveryFailed(f"no answer: {type(error).__name__}") from None
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            is_final = answer.status < 500 and answer.status not in AGAIN
            after_s = read_retry_after(answer.getheader("Retry-After") or "")
            raise DeliveryFailed(f"answered {answer.status}", is_final=is_final, after_s=after_s)

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_S)
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except OSError as error:
            raise DeliveryFailed(f"{self.ca_file}: {error.strerror}") from None
        return http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT_S, context=context)


def read_retry_after(text: str) -> float:
    """Seconds to wait, bounded; 0 when the header gives none (dates are not looked at)."""
    return min(float(text), MAX_RETRY_AFTER_S) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0
