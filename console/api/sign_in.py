"""Sign-ins under way in browsers: what ties the answer of the provider to the browser that asked."""

import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from console.oidc.errors import TokenRefused
from console.oidc.provider import make_verifier

LASTS_S: Final = 600.0
MAX_UNDER_WAY: Final = 2000
"""Beyond this the oldest gives way: a flood of sign-ins delays people and fills no memory."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sign-in. `browser` is known to that browser only, as a cookie."""

    state: str
    nonce: str
    verifier: str
    challenge: str
    browser: str
    goes_to: str
    began_at: float
    is_secure: bool = False
    """Whether the browser came by https, so that its cookies stay there."""


class Attempts:
    """Those under way, by state. Each can be ended once. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way: OrderedDict[str, Attempt] = OrderedDict()

    def begin(self, goes_to: str, *, is_secure: bool = False) -> Attempt:
        """A new sign-in that leads to a path of ours."""
        verifier, challenge = make_verifier()
        state, nonce, browser = (secrets.token_urlsafe(32) for _ in range(3))
        attempt = Attempt(state, nonce, verifier, challenge, browser, safe_path(goes_to), self._clock(), is_secure)
        with self._lock:
            while len(self._under_way) >= MAX_UNDER_WAY:
                self._under_way.popitem(last=False)
            self._under_way[state] = attempt
        return attempt

    def end(self, state: str, browser: str) -> Attempt:
        """The sign-in of a state, once, and for the browser that began it. Raises TokenRefused."""
        attempt = self.take(state)
        check_browser(attempt, browser)
        return attempt

    def take(self, state: str) -> Attempt:
        """The sign-in of a state, once, for whatever browser: `check_browser` must follow. Raises TokenRefused."""
        with self._lock:
            attempt = self._under_way.pop(state, None)
        if attempt is None or self._clock() - attempt.began_at > LASTS_S:
            raise TokenRefused("this sign-in is not under way, or took too long: begin again")
        return attempt


def check_browser(attempt: Attempt, browser: str) -> None:
    """Raises TokenRefused unless this browser began it."""
    if not hmac.compare_digest(attempt.browser.encode(), browser.encode("utf-8", "surrogatepass")):
        raise TokenRefused("this sign-in was begun in another browser")


def safe_path(path: str) -> str:
    """A path of this site, whatever was asked for."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and len(path) <= 2000
    return path if is_ours and path.isascii() and path.isprintable() and "\\" not in path else "/"
