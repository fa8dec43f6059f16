"""Credentials of a login as HTTP and addresses carry them: what of it is secret, and what only stands for it."""

import re
from typing import Any, Final

from masking import values
from masking.model import Hit
from masking.spans import is_in_token

_MAX_PARAMETERS_BYTES: Final = 4096
_LINE: Final = re.compile(rb"[^\r\n]*")
_USER: Final = re.compile(rb"([^\s/:@\"'<>=]{0,80}):\Z")
_EXAMPLE_USERS: Final = frozenset(
    (b"", b"user", b"username", b"name", b"login", b"email", b"test", b"foo", b"xxx", b"me")
)
_EXAMPLE_PASSWORDS: Final = frozenset(
    (b"pass", b"password", b"passwd", b"pwd", b"pw", b"secret", b"test", b"token", b"bar", b"yyy", b"xxx")
)
_PARAMETER: Final = re.compile(
    rb"(?i)\b(?:response|signature|oauth_signature|oauth_token|token|mac|sig|credential|access_token)"
    rb"=\\{0,4}[\"']?([A-Za-z0-9+/%._~=-]{6,})"
)


def check_login(data: bytes, match: Any, group: int) -> list[Hit]:
    """The password behind `user:`, but for the example that documents give: `user:password@host`. The colon of a token
    that stands for a masked value parts no user from a password."""
    start, end = match.span(group)
    if is_in_token(data, start):
        return []
    text = data[start:end]
    user = _USER.search(data, max(0, start - 81), start)
    is_example = text.lower() in _EXAMPLE_PASSWORDS and user is not None and user[1].lower() in _EXAMPLE_USERS
    if is_example or text[-1:] == b">" or values.is_placeholder(text):
        return []
    return values.value_hits(data, start, end)


def check_authorization(data: bytes, match: Any, group: int) -> list[Hit]:
    """What stands behind the scheme; of parameters (Digest, OAuth, AWS4) those that prove something."""
    start, end = match.span(group)
    text = data[start:end]
    if len(text) < 3 or values.is_scheme(text):
        return []
    if b"=" in text.rstrip(b"= \t") or (
        text.rstrip(b" \t").endswith(b"=") and data[end : end + 1] in (b'"', b"'", b"\\")
    ):
        line = _LINE.match(data, start, start + _MAX_PARAMETERS_BYTES)
        proofs = [found.span(1) for found in _PARAMETER.finditer(data, start, line.end() if line else end)]
        if proofs or b"=" not in text.rstrip(b"= \t"):
            return [(low, high, None) for low, high in proofs]
    return values.value_hits(data, start, end)


def check_telling(data: bytes, match: Any, group: int) -> list[Hit]:
    """A value that a sentence gives: letters and a digit or a sign, or four
    words in a chain, so that it is no word of the sentence."""
    start, end = match.span(group)
    text = data[start:end]
    is_telling = values.has_letter(text) and values.has_digit_or_sign(text) and not values.is_placeholder(text)
    return [(start, end, None)] if is_telling or values.is_phrase_of_words(text) else []
