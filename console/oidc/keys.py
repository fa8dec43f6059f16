"""An issuer's public keys: fetched, kept for a while, fetched again for a key id that is new, but not too often."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from console.oidc.errors import ProviderFailed, TokenRefused
from console.oidc.tokens import Key

MAX_KEYS: Final = 64
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192
MAX_EXPONENT_CHARS: Final = 12
FRESH_S: Final = 3600.0
"""Keys older than this are fetched again before they are used."""
STALE_S: Final = 86_400.0
"""When the provider is away, keys serve for so long."""
BETWEEN_S: Final = 10.0
"""Least time between two fetches: unknown key ids, which anybody can send, cause no more."""

CURVES: Final = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "Ed25519": "Ed25519"}

PUBLIC_MEMBERS: Final = frozenset({"kty", "kid", "alg", "use", "n", "e", "crv", "x", "y"})


class Keys:
    """The keys of one issuer. Thread-safe. `fetch` gives a JWK set."""

    def __init__(self, fetch: Callable[[], Mapping[str, Any]], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: list[Key] = []
        self._fetched_at: float | None = None
        self._tried_at: float | None = None

    def find(self, kid: str | None, algorithm: str) -> Key:
        """The key that a token names. Raises TokenRefused when there is none, ProviderFailed without any keys."""
        with self._lock:
            self._refresh(FRESH_S)
            found = self._matching(kid, algorithm)
            if not found:
                self._refresh(0.0)
                found = self._matching(kid, algorithm)
        if not found:
            raise TokenRefused("its key is not one of the issuer's")
        if len(found) > 1:
            raise TokenRefused("it does not say which key it uses")
        return found[0]

    def _matching(self, kid: str | None, algorithm: str) -> list[Key]:
        fitting = [key for key in self._keys if fits(key, algorithm)]
        return fitting if kid is None else [key for key in fitting if key.kid == kid]

    def _refresh(self, after_s: float) -> None:
        now = self._clock()
        if self._fetched_at is not None and now - self._fetched_at < after_s:
            return
        if self._tried_at is not None and now - self._tried_at < BETWEEN_S:
            if self._fetched_at is None:
                raise ProviderFailed("the issuer's keys could not be fetched a moment ago")
            return
        self._tried_at = now
        try:
            self._keys = read_keys(self._fetch())
            self._fetched_at = now
        except ProviderFailed:
            if self._fetched_at is None or now - self._fetched_at > STALE_S:
                raise


def read_keys(document: Mapping[str, Any]) -> list[Key]:
    """The keys of a JWK set that can verify signatures; others are left out. Raises ProviderFailed."""
    entries = document.get("keys")
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise ProviderFailed("the issuer's keys are no JWK set, or too many")
    return [key for key in map(_read_key, _objects(entries)) if key is not None]


def _objects(entries: Iterable[Any]) -> Iterable[dict[str, Any]]:
    return (entry for entry in entries if isinstance(entry, dict))


def _read_key(entry: dict[str, Any]) -> Key | None:
    if entry.get("use", "sig") != "sig" or "verify" not in entry.get("key_ops", ["verify"]):
        return None
    kinds: dict[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    kind = kinds.get(str(entry.get("kty")))
    if kind is None:  # `oct` among them: a secret has no place in a public set
        return None
    if kind is RSAKey and not _is_fitting_rsa(entry):
        return None
    public = {name: value for name, value in entry.items() if name in PUBLIC_MEMBERS}
    try:
        key: Key = kind.import_key(public)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key


def _is_fitting_rsa(entry: Mapping[str, Any]) -> bool:
    """Neither weak nor so large that verifying would be work for minutes. Before the key is made of it."""
    modulus, exponent = entry.get("n"), entry.get("e")
    if not isinstance(modulus, str) or not isinstance(exponent, str):
        return False
    return MIN_RSA_BITS <= len(modulus) * 6 <= MAX_RSA_BITS + 6 and len(exponent) <= MAX_EXPONENT_CHARS


def fits(key: Key, algorithm: str) -> bool:
    """Whether a key may verify this algorithm: its kind, its curve, and what it says of itself."""
    declared = key.get("alg")
    if declared is not None and declared != algorithm:
        return False
    if algorithm[:2] in ("RS", "PS"):
        return key.key_type == "RSA"
    return key.get("crv") == CURVES.get(algorithm)
