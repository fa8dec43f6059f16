"""Authorization codes (RFC 6749, 4.1, with PKCE, RFC 7636): what a person agreed to in a browser; each counts once."""

import hmac
import re
import secrets
import threading
import time
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from console.oidc.errors import TokenRefused
from schemas.settings_base import is_loopback

LASTS_S: Final = 60.0
MAX_WAITING: Final = 500
CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a person lets a client have. `token`: the browser's session, which must still last at the exchange."""

    client_id: str
    redirect_uri: str
    challenge: str
    resource: str
    token: str = field(repr=False)


class Codes:
    """The codes that wait. The oldest give way. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, Agreed]] = OrderedDict()

    def put(self, agreed: Agreed) -> str:
        """A code for it."""
        code = secrets.token_urlsafe(32)
        with self._lock:
            while len(self._kept) >= MAX_WAITING:
                self._kept.popitem(last=False)
            self._kept[code] = (self._clock(), agreed)
        return code

    def take(self, code: str, client_id: str, redirect_uri: str, verifier: str) -> Agreed:
        """What was agreed to, for who began it; whoever asks with a code uses it up. Raises TokenRefused."""
        with self._lock:
            found = self._kept.pop(code, None)
        if found is None or self._clock() - found[0] > LASTS_S:
            raise TokenRefused("the code is not known, was used, or is too old")
        agreed = found[1]
        if (client_id, redirect_uri) != (agreed.client_id, agreed.redirect_uri):
            raise TokenRefused("the code was given to another client_id or redirect_uri")
        if VERIFIER.fullmatch(verifier) is None or not hmac.compare_digest(challenge_of(verifier), agreed.challenge):
            raise TokenRefused("code_verifier does not fit the challenge")
        return agreed


def challenge_of(verifier: str) -> str:
    """S256 of RFC 7636, 4.2."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def is_own_redirect(url: str) -> bool:
    """Whether a redirect stays on the person's own host (RFC 8252, 7.3): http, a loopback address, without fragment."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    # It also stands in a Content-Security-Policy, where `;` and `,` would end what it says.
    is_plain = url.isascii() and url.isprintable() and not set(url) & set(" ;,#") and len(url) <= 1000
    return is_plain and parts.scheme == "http" and is_loopback(host) and "@" not in parts.netloc
