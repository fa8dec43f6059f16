"""Is this JSON Web Token what it says? Signature by joserfc, every rule about header and claims here."""

import binascii
import json
import math
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from console.oidc.errors import TokenRefused

Key = RSAKey | ECKey | OKPKey

MAX_TOKEN_CHARS: Final = 16_384
MAX_TEXT_CHARS: Final = 512
MAX_KID_CHARS: Final = 256
MAX_LIFETIME_S: Final = 366 * 86_400
"""A token that says it lives longer is a mistake somewhere."""

KEY_TYPES: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
"""By how the algorithm begins."""

NOT_FOR_PEOPLE: Final = frozenset({"logout+jwt", "dpop+jwt", "secevent+jwt", "client-authentication+jwt"})
"""Types of tokens (RFC 8725, 3.11) that are signed by the same keys and prove something else."""

FindKey = Callable[[str | None, str], Key]
"""(kid, algorithm) -> the issuer's key. Raises TokenRefused, ProviderFailed."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a token must be. `nonce` None: it is not looked at."""

    issuer: str
    audience: str
    algorithms: Sequence[str]
    max_skew_s: int
    nonce: str | None = None
    is_id_token: bool = True


def verify(token: str, rules: Rules, find_key: FindKey, now_s: float) -> dict[str, Any]:
    """The claims of a token that keeps every rule. Raises TokenRefused, ProviderFailed."""
    header = read_header(token)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in rules.algorithms:
        raise TokenRefused("its algorithm is not one that is accepted")
    if str(header.get("typ", "")).lower().removeprefix("application/") in NOT_FOR_PEOPLE:
        raise TokenRefused("its type is another one")
    kid = header.get("kid")
    if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_CHARS):
        raise TokenRefused("its key id is not a text")
    claims = _open(token, find_key(kid, algorithm), algorithm)
    check_claims(claims, rules, now_s)
    return claims


def read_header(token: str) -> dict[str, Any]:
    """The header, of which nothing is believed yet. Raises TokenRefused."""
    if len(token) > MAX_TOKEN_CHARS or token.count(".") != 2 or not token.isascii():
        raise TokenRefused("it is not a signed token")
    head = token.partition(".")[0]
    try:
        header = json.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        raise TokenRefused("its header cannot be read") from None
    if not isinstance(header, dict) or "crit" in header or "enc" in header or "b64" in header:
        raise TokenRefused("its header asks for what is not understood")
    return header


def _open(token: str, key: Key, algorithm: str) -> dict[str, Any]:
    """The payload, once the signature holds. The key is ours: what the header brings along is not looked at."""
    if key.key_type != KEY_TYPES.get(algorithm[:2]):
        raise TokenRefused("its algorithm does not fit the key")
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = MAX_TOKEN_CHARS
    try:
        opened = jws.deserialize_compact(token, key, registry=registry)
    except (JoseError, ValueError, TypeError):
        raise TokenRefused("its signature does not verify") from None
    try:
        claims = json.loads(opened.payload or b"")
    except (ValueError, RecursionError):
        raise TokenRefused("its claims cannot be read") from None
    if not isinstance(claims, dict):
        raise TokenRefused("its claims are no object")
    return claims


def check_claims(claims: Mapping[str, Any], rules: Rules, now_s: float) -> None:
    """Raises TokenRefused, naming the first rule that is broken."""
    if claims.get("iss") != rules.issuer:
        raise TokenRefused("it is of another issuer")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_TEXT_CHARS:
        raise TokenRefused("it names no subject")
    _check_audience(claims, rules)
    _check_times(claims, rules.max_skew_s, now_s)
    if rules.nonce is not None and claims.get("nonce") != rules.nonce:
        raise TokenRefused("its nonce is another one")


def _check_audience(claims: Mapping[str, Any], rules: Rules) -> None:
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or rules.audience not in audiences:
        raise TokenRefused("it is for another audience")
    if not rules.is_id_token:
        return
    party = claims.get("azp")
    if (party is not None or len(audiences) > 1) and party != rules.audience:
        raise TokenRefused("it was issued to another party")


def _check_times(claims: Mapping[str, Any], skew_s: int, now_s: float) -> None:
    expiry, issued, begins = (_time_of(claims, name) for name in ("exp", "iat", "nbf"))
    if expiry is None:
        raise TokenRefused("it has no expiry")
    if expiry + skew_s <= now_s:
        raise TokenRefused("it has expired")
    if expiry > now_s + MAX_LIFETIME_S:
        raise TokenRefused("it lives too long")
    if begins is not None and begins > now_s + skew_s:
        raise TokenRefused("it is not valid yet")
    if issued is not None and issued > now_s + skew_s:
        raise TokenRefused("it comes from the future")


def _time_of(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TokenRefused(f"its {name} is not a time")
    return float(value)
