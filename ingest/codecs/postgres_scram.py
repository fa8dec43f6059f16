"""SCRAM-SHA-256 (RFC 5802, RFC 7677) and md5, both roles, without I/O or randomness: nonces and salts are given.

Every wrong input raises `AuthenticationError`, whose text never holds a secret.
"""

import base64
import binascii
import hashlib
import hmac
import stringprep
import unicodedata
from dataclasses import dataclass, field
from typing import Final

ITERATIONS: Final = 4096  # RFC 7677's least, and PostgreSQL's default
MAX_ITERATIONS: Final = 1_000_000  # a hostile upstream must not keep this process busy for minutes
PLAIN: Final = "SCRAM-SHA-256"
PLUS: Final = "SCRAM-SHA-256-PLUS"


class AuthenticationError(Exception):
    """The peer's proof or message is wrong. `is_protocol` tells a broken message from a wrong secret."""

    def __init__(self, text: str, *, is_protocol: bool = False) -> None:
        super().__init__(text)
        self.is_protocol = is_protocol


@dataclass(slots=True, frozen=True)
class ScramSecret:
    """What a SCRAM server keeps instead of the password."""

    salt: bytes = field(repr=False)
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)
    iterations: int = ITERATIONS


def saslprep(password: str) -> str:
    """RFC 4013 for stored strings, or the password as it is where that refuses it (as PostgreSQL does)."""
    if password.isascii():
        return password
    mapped = "".join(" " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c))
    text = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    return text if text and not _is_prohibited(text) else password


def _is_prohibited(text: str) -> bool:
    prohibited = (
        stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
        stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
        stringprep.in_table_c9, stringprep.in_table_a1,
    )  # fmt: skip
    if any(table(c) for table in prohibited for c in text):
        return True
    if not any(map(stringprep.in_table_d1, text)):
        return False
    is_mixed = any(map(stringprep.in_table_d2, text))
    return is_mixed or not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1]))


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def derive_secret(password: str, salt: bytes, iterations: int = ITERATIONS) -> ScramSecret:
    """The server's keys for a password."""
    salted = hashlib.pbkdf2_hmac("sha256", saslprep(password).encode(), salt, iterations)
    stored = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    return ScramSecret(salt, stored, _hmac(salted, b"Server Key"), iterations)


def md5_hash(password: str, user: str) -> str:
    """What PostgreSQL stores for md5: 32 hex digits, without the `md5` prefix."""
    return hashlib.md5(password.encode() + user.encode(), usedforsecurity=False).hexdigest()


def md5_response(stored_hash: str, salt: bytes) -> bytes:
    """The answer to AuthenticationMD5Password, without the final zero byte."""
    return b"md5" + hashlib.md5(stored_hash.encode() + salt, usedforsecurity=False).hexdigest().encode()


def _attributes(text: str, names: str) -> list[str]:
    """Values of `name=value` attributes that must come in the given order; later extensions are let pass."""
    parts = text.split(",")
    if len(parts) < len(names) or any(not p.startswith(f"{n}=") for p, n in zip(parts, names, strict=False)):
        raise AuthenticationError("malformed SCRAM message", is_protocol=True)
    return [part[2:] for part in parts[: len(names)]]


def _b64(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise AuthenticationError("malformed base64 in a SCRAM message", is_protocol=True) from error


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise AuthenticationError("a SCRAM message is not UTF-8", is_protocol=True) from error


class ScramServer:
    """The server's role for one exchange: `first(client_first)`, then `final(client_final)`.

    `is_genuine` False makes the exchange look like any other and fail at its end (unknown user).
    `end_point` is the tls-server-end-point data, given only when SCRAM-SHA-256-PLUS was offered.
    """

    def __init__(
        self, mechanism: str, secret: ScramSecret, nonce: str, *, is_genuine: bool, end_point: bytes | None
    ) -> None:
        self._mechanism = mechanism
        self._secret = secret
        self._nonce = nonce
        self._is_genuine = is_genuine
        self._end_point = end_point
        self._gs2 = b""
        self._first = ""

    def first(self, data: bytes) -> bytes:
        """server-first-message for the client-first-message."""
        text = _text(data)
        flag, _, rest = text.partition(",")
        authzid, comma, bare = rest.partition(",")
        if not comma or authzid:
            raise AuthenticationError("malformed SCRAM message", is_protocol=True)
        self._check_binding(flag)
        self._gs2 = f"{flag},{authzid},".encode()
        client_nonce = _attributes(bare, "nr")[1]
        if not client_nonce or not client_nonce.isascii() or not client_nonce.isprintable():
            raise AuthenticationError("non-printable characters in a SCRAM nonce", is_protocol=True)
        self._nonce = client_nonce + self._nonce
        salt = base64.b64encode(self._secret.salt).decode()
        answer = f"r={self._nonce},s={salt},i={self._secret.iterations}"
        self._first = f"{bare},{answer}"
        return answer.encode()

    def _check_binding(self, flag: str) -> None:
        if self._mechanism == PLUS:
            if flag != "p=tls-server-end-point" or self._end_point is None:
                raise AuthenticationError("unsupported SCRAM channel binding", is_protocol=True)
        elif flag == "y" and self._end_point is not None:
            # RFC 5802 §6: the client believes that we offer no binding, so somebody took the offer away.
            raise AuthenticationError("SCRAM channel binding negotiation error", is_protocol=True)
        elif flag not in ("n", "y"):
            raise AuthenticationError("unexpected SCRAM channel binding", is_protocol=True)

    def final(self, data: bytes) -> bytes:
        """server-final-message; AuthenticationError when the proof is wrong."""
        text = _text(data)
        without_proof, separator, proof_text = text.rpartition(",p=")
        if not separator:
            raise AuthenticationError("malformed SCRAM message", is_protocol=True)
        binding, nonce = _attributes(without_proof, "cr")
        expected = self._gs2 + (self._end_point or b"" if self._mechanism == PLUS else b"")
        if not hmac.compare_digest(_b64(binding), expected):
            raise AuthenticationError("SCRAM channel binding check failed", is_protocol=True)
        if not hmac.compare_digest(nonce.encode(), self._nonce.encode()):
            raise AuthenticationError("SCRAM nonce mismatch", is_protocol=True)
        proof = _b64(proof_text)
        auth = f"{self._first},{without_proof}".encode()
        signature = _hmac(self._secret.stored_key, auth)
        is_right = len(proof) == len(signature) and hmac.compare_digest(
            hashlib.sha256(_xor(proof, signature)).digest(), self._secret.stored_key
        )
        if not (is_right and self._is_genuine):
            raise AuthenticationError("wrong password")
        return b"v=" + base64.b64encode(_hmac(self._secret.server_key, auth))


class ScramClient:
    """The client's role for one exchange: `first()`, `final(server_first)`, `verify(server_final)`."""

    def __init__(
        self, mechanism: str, password: str, nonce: str, *, end_point: bytes | None, is_tls: bool, user: str = ""
    ) -> None:
        self._password = password
        self._nonce = nonce
        self._bare = f"n={user},r={nonce}"  # PostgreSQL takes the user of the startup packet, not this one
        self._binding = end_point or b"" if mechanism == PLUS else b""
        # "y" would claim that we wanted to bind; without end point data we did not.
        can_bind = is_tls and end_point is not None
        self._gs2 = "p=tls-server-end-point,," if mechanism == PLUS else ("y,," if can_bind else "n,,")
        self._signature = b""

    def first(self) -> bytes:
        return (self._gs2 + self._bare).encode()

    def final(self, data: bytes) -> bytes:
        """client-final-message for the server-first-message."""
        server_first = _text(data)
        nonce, salt, count = _attributes(server_first, "rsi")
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise AuthenticationError("the upstream's SCRAM nonce does not extend ours", is_protocol=True)
        if not (count.isascii() and count.isdigit() and len(count) < 10):
            raise AuthenticationError("malformed SCRAM iteration count", is_protocol=True)
        iterations = int(count)
        if not 0 < iterations <= MAX_ITERATIONS:
            raise AuthenticationError(f"SCRAM iteration count {count} is out of bounds", is_protocol=True)
        prepared = saslprep(self._password).encode()
        salted = hashlib.pbkdf2_hmac("sha256", prepared, _b64(salt), iterations)
        binding = base64.b64encode(self._gs2.encode() + self._binding).decode()
        without_proof = f"c={binding},r={nonce}"
        auth = f"{self._bare},{server_first},{without_proof}".encode()
        client_key = _hmac(salted, b"Client Key")
        proof = _xor(client_key, _hmac(hashlib.sha256(client_key).digest(), auth))
        self._signature = _hmac(_hmac(salted, b"Server Key"), auth)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, data: bytes) -> None:
        """Check the server-final-message; AuthenticationError when the upstream does not know the password."""
        (signature,) = _attributes(_text(data), "v")
        if not self._signature or not hmac.compare_digest(_b64(signature), self._signature):
            raise AuthenticationError("the upstream's SCRAM signature is wrong")
